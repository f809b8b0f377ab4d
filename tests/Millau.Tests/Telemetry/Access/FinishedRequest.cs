using System.Net;
using System.Security.Authentication;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Routing;
using Millau.Telemetry.Access;
using Millau.Upstreams;

namespace Millau.Tests.Telemetry.Access;

/// <summary>A request as it is at its end, made up by a test.</summary>
internal sealed class FinishedRequest
{
    private static readonly UpstreamHeartbeat Heartbeat = new(TimeProvider.System);

    private readonly FeatureCollection _features = new();
    private readonly HttpRequestFeature _request = new() { Method = "GET", Protocol = "HTTP/1.1", Scheme = "http" };

    public FinishedRequest(string target = "/a?b=c")
    {
        var listener = new Listener("http");
        listener.Bind(8080);
        _features.Set<IHttpRequestFeature>(_request);
        _features.Set<IHttpResponseFeature>(new HttpResponseFeature());
        _features.Set<IHttpConnectionFeature>(new HttpConnectionFeature { RemoteIpAddress = IPAddress.Parse("192.0.2.1") });
        _features.Set<IHttpRequestLifetimeFeature>(new HttpRequestLifetimeFeature());
        _features.Set(listener);
        _request.RawTarget = target;
        Context = new RequestContext(_features) { Host = "a.test" };
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

    public IHeaderDictionary Headers => _request.Headers;

    public string Method
    {
        set => _request.Method = value;
    }

    public void Encrypt(SslProtocols protocol, string serverName)
    {
        _request.Scheme = "https";
        _features.Set<ITlsHandshakeFeature>(new Tls(protocol, serverName));
    }

    /// <summary>Its line, end included.</summary>
    public byte[] Line(AccessLogFormat format, TimeProvider time) => new AccessLine().Compose(format, Context, time).ToArray();

    // Of a clock with ticks of 100 ns, as the fake one has.
    private static long Ticks(long microseconds) => microseconds * TimeSpan.TicksPerMicrosecond;

    private sealed class Tls(SslProtocols protocol, string serverName) : ITlsHandshakeFeature
    {
        public SslProtocols Protocol => protocol;
        public string HostName => serverName;
#pragma warning disable SYSLIB0058 // The interface cannot be implemented without naming them.
        public CipherAlgorithmType CipherAlgorithm => default;
        public int CipherStrength => 0;
        public HashAlgorithmType HashAlgorithm => default;
        public int HashStrength => 0;
        public ExchangeAlgorithmType KeyExchangeAlgorithm => default;
        public int KeyExchangeStrength => 0;
#pragma warning restore SYSLIB0058
    }
}
