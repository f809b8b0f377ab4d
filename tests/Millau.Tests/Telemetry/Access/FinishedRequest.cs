using System.Net;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Routing;
using Millau.Telemetry.Access;
using Millau.Upstreams;

namespace Millau.Tests.Telemetry.Access;

/// <summary>A request as it is at its end, made up by a test.</summary>
internal sealed class FinishedRequest : IDisposable
{
    private static readonly UpstreamHeartbeat Heartbeat = new(TimeProvider.System);

    private readonly ImaginedExchange _exchange;

    public FinishedRequest(string target = "/a?b=c", TlsDetails? tls = null)
    {
        var listener = new Listener("http");
        listener.Bind(8080);
        _exchange = new ImaginedExchange(new ClientPeer(IPAddress.Parse("192.0.2.1")) { Listener = listener, Tls = tls }, "GET", target);
        if (tls is not null) _exchange.Scheme = "https";
        Context = new RequestContext(_exchange) { Host = "a.test" };
        Context.Begin();
        if (RequestTarget.TryParse(target, out var parsed, out _)) Context.Target = parsed;
        var instance = new UpstreamInstance("1", "app.1", new IPEndPoint(IPAddress.Loopback, 1), Heartbeat);
        instance.Service = new UpstreamService("app", TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(60), [instance], false);
        var outcome = Context.Outcome;
        (outcome.Service, outcome.Instance, outcome.Attempts) = (instance.Service, instance, 1);
        (outcome.Status, outcome.InstanceStatus, outcome.RequestBytes, outcome.ResponseBytes) = (200, 200, 5, 1234);
        outcome.Started = 1;
        Context.AttemptStarted = 1 + Ticks(100);
        outcome.Answered = 1 + Ticks(350);
        outcome.Ended = 1 + Ticks(1_000_400);
    }

    public RequestContext Context { get; }

    public RequestOutcome Outcome => Context.Outcome;

    public string Referer
    {
        set => _exchange.With("Referer", value);
    }

    public string UserAgent
    {
        set => _exchange.With("User-Agent", value);
    }

    /// <summary>Its line, end included.</summary>
    public byte[] Line(AccessLogFormat format, TimeProvider time) => new AccessLine().Compose(format, Context, time).ToArray();

    /// <summary>Gives back what its fields are kept in.</summary>
    public void Dispose() => _exchange.Fields.Release();

    // Of a clock with ticks of 100 ns, as the fake one has.
    private static long Ticks(long microseconds) => microseconds * TimeSpan.TicksPerMicrosecond;
}
