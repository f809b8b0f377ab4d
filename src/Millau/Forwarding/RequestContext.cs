using System.Diagnostics;
using Millau.Http1;
using Millau.Ingress;
using Millau.Routing;
using Millau.Tls;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// One request from its first step to its last. One context serves all requests of its exchange, one after the other;
/// <see cref="Begin"/> and <see cref="End"/> enclose each.
/// </summary>
internal sealed class RequestContext
{
    private CancellationTokenSource? _goneSource;
    private UpstreamConnection? _held;
    private RetryBudget? _turn;

    public RequestContext(Exchange exchange)
    {
        Exchange = exchange;
        Outcome.Listener = exchange.Client.Listener;
        exchange.OnGone(OnClientGone);
    }

    /// <summary>What the client sent and gets.</summary>
    public Exchange Exchange { get; }

    /// <summary>Whose request it is.</summary>
    public ClientPeer Client => Exchange.Client;

    /// <summary>What goes to the instances and what is compared with routes.</summary>
    public RequestTarget Target { get; set; }

    /// <summary>The host the client asked for, as it wrote it.</summary>
    public string Host { get; set; } = "";

    /// <summary>The request's head, and the first part of its body if it was there already.</summary>
    public RequestWriter Writer { get; } = new();

    /// <summary>What the head says of where the request came from.</summary>
    public ForwardedFields Forwarded { get; } = new();

    public RequestBody Body { get; } = new();

    /// <summary>What those who watch get to know.</summary>
    public RequestOutcome Outcome { get; } = new();

    /// <summary>The attempt under way, or the last one, is on a connection that has carried a request before.</summary>
    public bool IsConnectionReused { get; set; }

    /// <summary>When the attempt under way began, in timestamps as the outcome's.</summary>
    public long AttemptStarted { get; set; }

    /// <summary>The span of the request; null unless requests are traced.</summary>
    public Activity? ServerSpan { get; set; }

    /// <summary>The span of the attempt under way; null if the trace is not sampled.</summary>
    public Activity? ClientSpan { get; set; }

    /// <summary>Where in <see cref="Writer"/> the trace context stands that names the parent span.</summary>
    public int TraceParentAt { get; set; }

    /// <summary>The instances that had their attempt.</summary>
    public List<UpstreamInstance> Tried { get; } = [];

    /// <summary>The protocol that the client wants to switch to, or null.</summary>
    public string? Upgrade { get; set; }

    /// <summary>
    /// The client wants a WebSocket in this HTTP/2 stream: the key that Millau asks the instance for one with. Else null.
    /// </summary>
    public string? WebSocketKey { get; set; }

    /// <summary>The client speaks HTTP/2; else HTTP/1.</summary>
    public bool IsHttp2 => Exchange.Version == HttpVersion.Http2;

    /// <summary>The client reads trailers: it says <c>TE: trailers</c>, or HTTP/2, where they are nothing special.</summary>
    public bool TakesTrailers { get; set; }

    /// <summary>The client waits for <c>100 (Continue)</c> before it sends the body.</summary>
    public bool ExpectsContinue { get; set; }

    /// <summary>Idempotent by method or by key.</summary>
    public bool IsRepeatable { get; set; }

    /// <summary>What the client showed in the handshake of its connection; null without TLS, and if it showed none.</summary>
    public ClientCertificate? Certificate => Client.Certificate;

    /// <summary>The attempt is with a group that asked for the certificate: it gets it.</summary>
    public bool SendsCertificate { get; set; }

    /// <summary>The client's address: of the connection, or as a trusted proxy says.</summary>
    public string ClientAddress { get; set; } = "";

    /// <summary>The chain for X-Forwarded-For where a trusted proxy gave one; else null, and the address stands for it.</summary>
    public string? ForwardedFor { get; set; }

    /// <summary>The value for X-Forwarded-Host that a trusted proxy gave; else null.</summary>
    public string? ForwardedHost { get; set; }

    /// <summary>The client has gone; nobody reads an answer.</summary>
    public bool ClientGone => Exchange.IsGone;

    /// <summary>The client has gone, or broke its own body: what becomes of the request is not the instance's doing.</summary>
    public bool IsAbandoned => ClientGone || Body.ClientError is not null;

    public bool IsHead => Exchange.Method == "HEAD";

    /// <summary>Cancelled when the client goes. For what waits without a connection of its own; to be asked for within a request.</summary>
    public CancellationToken ClientGoneToken
    {
        get
        {
            var source = _goneSource;
            if (source is null) Interlocked.Exchange(ref _goneSource, source = new CancellationTokenSource());
            // Race window: who goes at this moment may look for the source before it is there, but has said so before.
            if (ClientGone) source.Cancel();
            return source.Token;
        }
    }

    public void Begin() => ClientAddress = Client.AddressText;

    /// <summary>Gives back what the request held. Idempotent.</summary>
    public void End()
    {
        _goneSource?.Dispose();
        _goneSource = null;
        Writer.Release();
        Body.Release();
        Tried.Clear();
        Upgrade = WebSocketKey = ForwardedFor = ForwardedHost = null;
        EndRepeat();
        ExpectsContinue = IsRepeatable = TakesTrailers = false;
        Target = default;
        ServerSpan = ClientSpan = null;
        Outcome.Clear();
    }

    /// <summary>From now on the connection is cut when the client goes. False when it has gone already.</summary>
    public bool Hold(UpstreamConnection connection)
    {
        Interlocked.Exchange(ref _held, connection);
        // Race window: who goes at this moment may look for the connection before it is there, but has said so before.
        return !ClientGone;
    }

    /// <summary>
    /// The connection is no longer this request's. After this the client's going does not touch it, unless it has gone already: whoever
    /// swaps first has it. So ask for <see cref="ClientGone"/> before another request gets it.
    /// </summary>
    public void LetGo() => Interlocked.Exchange(ref _held, null);

    /// <summary>Is sent again: holds one of the service's turns for that until <see cref="EndRepeat"/>.</summary>
    public void BeginRepeat(RetryBudget budget) => _turn = budget;

    /// <summary>Holds a turn.</summary>
    public bool IsRepeated => _turn is not null;

    /// <summary>Gives the turn back, if there is one.</summary>
    public void EndRepeat()
    {
        if (_turn is null) return;
        _turn.Return();
        _turn = null;
    }

    private void OnClientGone()
    {
        Interlocked.Exchange(ref _held, null)?.Abort();
        try
        {
            Volatile.Read(ref _goneSource)?.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The request ended meanwhile.
        }
    }
}
