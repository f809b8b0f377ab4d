using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Millau.Http1;
using Millau.Ingress;
using Millau.Routing;
using Millau.Tls;
using Millau.Transport;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// One request from its first step to its last. On an HTTP/1.1 connection one context serves all requests, one after
/// the other; <see cref="Begin"/> and <see cref="End"/> enclose each.
/// </summary>
internal sealed class RequestContext(IFeatureCollection features)
{
    private readonly Lock _lock = new();
    private readonly IHttpRequestBodyDetectionFeature? _bodyDetection = features.Get<IHttpRequestBodyDetectionFeature>();
    private CancellationTokenRegistration _requestAborted;
    private UpstreamConnection? _held;
    private bool _clientGone;
    private bool _watching;
    private IPAddress? _clientAddress;
    private string _peerAddress = "";
    private RetryBudget? _turn;
    private LoopConnection? _connection;

    public IFeatureCollection Features => features;

    // Kestrel keeps these features, too, with the connection or stream, and to ask for one is not cheap.
    public IHttpRequestFeature Request { get; } = features.GetRequiredFeature<IHttpRequestFeature>();
    public IHttpResponseFeature Response { get; } = features.GetRequiredFeature<IHttpResponseFeature>();
    public IHttpResponseBodyFeature ResponseBody => field ??= features.GetRequiredFeature<IHttpResponseBodyFeature>();

    private IHttpConnectionFeature Client => field ??= features.GetRequiredFeature<IHttpConnectionFeature>();

    /// <summary>What goes to the instances and what is compared with routes.</summary>
    public RequestTarget Target { get; set; }

    /// <summary>The host the client asked for, as it wrote it.</summary>
    public string Host { get; set; } = "";

    /// <summary>The request's head, and the first part of its body if it was there already.</summary>
    public RequestWriter Writer { get; } = new();

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
    public bool IsHttp2 { get; private set; }

    /// <summary>The client reads trailers: it says <c>TE: trailers</c>, or HTTP/2, where they are nothing special.</summary>
    public bool TakesTrailers { get; set; }

    /// <summary>The client waits for <c>100 (Continue)</c> before it sends the body.</summary>
    public bool ExpectsContinue { get; set; }

    /// <summary>Idempotent by method or by key.</summary>
    public bool IsRepeatable { get; set; }

    /// <summary>What the client showed in the handshake of its connection; null without TLS, and if it showed none.</summary>
    public ClientCertificate? Certificate { get; private set; }

    /// <summary>The attempt is with a group that asked for the certificate: it gets it.</summary>
    public bool SendsCertificate { get; set; }

    /// <summary>The client's address: of the connection, or as a trusted proxy says.</summary>
    public string ClientAddress { get; set; } = "";

    /// <summary>The chain for X-Forwarded-For where a trusted proxy gave one; else null, and the address stands for it.</summary>
    public string? ForwardedFor { get; set; }

    /// <summary>The value for X-Forwarded-Host that a trusted proxy gave; else null.</summary>
    public string? ForwardedHost { get; set; }

    /// <summary>Whoever is at the other end of the connection.</summary>
    public IPAddress? Peer => _clientAddress;

    /// <summary>The address and port that the client connected to, as they stand in a Host field.</summary>
    public string LocalAddress
    {
        get
        {
            var address = Client.LocalIpAddress ?? IPAddress.Loopback;
            return new IPEndPoint(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, Client.LocalPort).ToString();
        }
    }

    /// <summary>Where the client's connection is served; null where there are no event loops.</summary>
    public EventLoop? Loop => _connection?.Loop;

    /// <summary>The client has gone; nobody reads an answer.</summary>
    public bool ClientGone => Volatile.Read(ref _clientGone);

    /// <summary>The client has gone, or broke its own body: what becomes of the request is not the instance's doing.</summary>
    public bool IsAbandoned => ClientGone || Body.ClientError is not null;

    public bool IsHead => Request.Method == "HEAD";

    /// <summary>The request has a body, or may have one.</summary>
    public bool CanHaveBody => _bodyDetection?.CanHaveBody ?? false;

    public void Begin()
    {
        IsHttp2 = Request.Protocol == "HTTP/2";
        if (!ReferenceEquals(_clientAddress, Client.RemoteIpAddress))
        {
            _clientAddress = Client.RemoteIpAddress;
            _peerAddress = Format(_clientAddress);
            Certificate = features.Get<ClientCertificate>();
            _connection = features.Get<LoopConnection>();
            Outcome.Listener = features.Get<Listener>() ?? Listener.None;
        }
        ClientAddress = _peerAddress;
        WatchClient();
    }

    /// <summary>Gives back what the request held. Idempotent.</summary>
    public void End()
    {
        _requestAborted.Dispose();
        _requestAborted = default;
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
        lock (_lock)
        {
            _held = connection;
            return !_clientGone;
        }
    }

    /// <summary>The connection is no longer this request's. After this the client's going does not touch it.</summary>
    public void LetGo()
    {
        lock (_lock) _held = null;
    }

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

    /// <summary>Cuts the client's connection (HTTP/2: its stream), so that half an answer does not look like a whole.</summary>
    public void AbortClient() => features.GetRequiredFeature<IHttpRequestLifetimeFeature>().Abort();

    /// <summary>
    /// Closes the client's connection after this answer, for what follows on it is in doubt. On HTTP/2 that is no more than
    /// this stream, which ends anyway.
    /// </summary>
    public void CloseAfterAnswer()
    {
        if (!IsHttp2) Response.Headers.Connection = "close";
    }

    /// <summary>Asks the client to send its next requests elsewhere: with <c>Connection: close</c>, or GOAWAY.</summary>
    public void AskToLeave()
    {
        if (IsHttp2) features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
        else Response.Headers.Connection = "close";
    }

    /// <summary>
    /// From now on a client of HTTP/1.1 that says that it sends no more is not gone: it may wait for what the other end of its tunnel
    /// still has to say.
    /// </summary>
    public void AllowHalfClose()
    {
        if (!IsHttp2) _connection?.AllowHalfClose();
    }

    // An HTTP/1.1 connection has one request at a time and one context, so one registration does for all its requests.
    private void WatchClient()
    {
        if (_watching) return;
        if (!IsHttp2 && features.Get<IConnectionLifetimeFeature>() is { } lifetime)
        {
            _watching = true;
            lifetime.ConnectionClosed.UnsafeRegister(static state => ((RequestContext)state!).OnClientGone(), this);
        }
        else
        {
            var aborted = features.GetRequiredFeature<IHttpRequestLifetimeFeature>().RequestAborted;
            Volatile.Write(ref _clientGone, false);
            _requestAborted = aborted.UnsafeRegister(static state => ((RequestContext)state!).OnClientGone(), this);
        }
    }

    private void OnClientGone()
    {
        lock (_lock)
        {
            _clientGone = true;
            _held?.Abort();
        }
    }

    private static string Format(IPAddress? address) => address switch
    {
        null => "unknown",
        { IsIPv4MappedToIPv6: true } => address.MapToIPv4().ToString(),
        _ => address.ToString(),
    };
}
