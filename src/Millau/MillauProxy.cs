using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Routing;
using Millau.Telemetry.Metrics;
using Millau.Tls;
using Millau.Tls.Acme;
using Millau.Transport;
using Millau.Upstreams;

namespace Millau;

/// <summary>What of the settings the way of a request depends on.</summary>
internal sealed record ProxyOptions
{
    /// <summary>Host name for the debugging headers; null leaves them out.</summary>
    public string? ServedBy { get; init; }

    /// <summary>What clients may take, and which peers are believed.</summary>
    public ClientRules Clients { get; init; } = new();

    /// <summary>The directory of what labels name as <c>secret:NAME</c>.</summary>
    public string Secrets { get; init; } = SecretFiles.DefaultRoot;

    /// <summary>Where clients reach the TLS listener: named in redirects to https.</summary>
    public int RedirectPort { get; init; } = Settings.DefaultHttpsPort;
}

/// <summary>
/// The way of a request, wired by hand: listener → forwarder → routes → instances. Knows nothing of Docker: catalogs
/// are given to it. Owns all it makes.
/// </summary>
internal sealed class MillauProxy : IAsyncDisposable
{
    private readonly EventLoops? _loops;
    private readonly UpstreamHeartbeat _heartbeat;
    private readonly TlsMaterials _materials;
    private readonly UpstreamRegistry _upstreams;
    private readonly LiveRoutes _routes;
    private readonly Parking _parking;
    private readonly ProxyApplication _application;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _logging;
    private readonly ClientRules _clients;
    private ProxyServer? _server;

    /// <param name="time">The clock of all timeouts.</param>
    /// <param name="logging">Used, not disposed.</param>
    /// <param name="observers">Told of each request, besides the metrics.</param>
    public MillauProxy(
        ProxyOptions options, TimeProvider time, ILoggerFactory logging, params IRequestObserver[] observers)
    {
        _clients = options.Clients;
        _time = time;
        _logging = logging;
        _loops = EventLoops.AreSupported ? new EventLoops(logging.CreateLogger("Millau.Transport")) : null;
        _heartbeat = new UpstreamHeartbeat(time);
        var availability = new Availability();
        var upstreamLog = logging.CreateLogger("Millau.Upstreams");
        var probe = new InstanceProbe(_heartbeat, _loops, availability, time, upstreamLog);
        var tlsLog = logging.CreateLogger("Millau.Tls");
        var secretFiles = new SecretFiles(options.Secrets);
        _materials = new TlsMaterials(secretFiles, time, tlsLog);
        _upstreams = new UpstreamRegistry(_heartbeat, probe, availability, _materials, time, upstreamLog);
        _routes = new LiveRoutes(_upstreams);
        var forwardingLog = logging.CreateLogger("Millau.Forwarding");
        _parking = new Parking(availability, time);
        Certificates = new CertificateStore(secretFiles, time, tlsLog);
        Handshake = new TlsHandshake(Certificates)
        {
            ClientCertificates = (host, own, connection) => _routes.Table.FindClientDemand(host)?.ForHandshake(own, connection, tlsLog),
        };
        CertificateMetrics.Add(Metrics, Certificates);
        Challenges = new Challenges(Handshake.Challenges);
        Requests = new RequestMetrics(Metrics, time, Http, Https);
        ProxyMetrics.Add(Metrics, _upstreams, _heartbeat, () => _parking.Count, Http, Https);
        Redirect = new HttpsRedirect(options.RedirectPort);
        var watch = new RequestWatch(time, [Requests, .. observers]);
        var forwarder = new Forwarder(
            _routes, availability, _parking, _heartbeat, new ResponseRelay(options.ServedBy), Redirect,
            new ClientCertificateRule(time), Challenges, watch, options.Clients.Trusted, forwardingLog);
        _application = new ProxyApplication(forwarder, watch, forwardingLog);
    }

    /// <summary>Where clients connect to without TLS; after <see cref="ListenAsync"/>.</summary>
    public IPEndPoint EndPoint => _server!.EndPoints[0];

    /// <summary>Where clients connect to with TLS; after <see cref="ListenAsync"/> with a port for it.</summary>
    public IPEndPoint TlsEndPoint => _server!.EndPoints[1];

    /// <summary>What can be counted and measured here; more may be added before the first scrape.</summary>
    public MetricsRegistry Metrics { get; } = new();

    private RequestMetrics Requests { get; }

    /// <summary>The port without TLS.</summary>
    public Listener Http { get; } = new("http");

    /// <summary>The port with TLS.</summary>
    public Listener Https { get; } = new("https");

    /// <summary>What clients are shown that connect with TLS.</summary>
    public CertificateStore Certificates { get; }

    /// <summary>What is wrong with what labels ask of TLS besides; any thread.</summary>
    public ImmutableArray<MaterialProblem> TlsProblems => _materials.Problems;

    /// <summary>How connections with TLS begin.</summary>
    public TlsHandshake Handshake { get; }

    /// <summary>What a certificate authority that comes to look is answered, on either port.</summary>
    public Challenges Challenges { get; }

    /// <summary>Where plain requests go of routes that are for https.</summary>
    public HttpsRedirect Redirect { get; }

    /// <summary>Requests that wait for an instance on its way up.</summary>
    public int WaitingRequests => _parking.Count;

    /// <summary>All instances of the latest catalog, for those who watch. Any thread.</summary>
    public IEnumerable<UpstreamInstance> Instances => _upstreams.Instances;

    /// <summary>What the routes are made of now, for those who watch. Any thread.</summary>
    public RoutesSnapshot Routes => _routes.Snapshot;

    /// <summary>Makes a catalog effective. One caller at a time.</summary>
    public void Apply(ServiceCatalog catalog)
    {
        // First, so that a new route has its certificate, and something to count with, from the beginning.
        Certificates.Apply(catalog);
        _materials.Apply(catalog);
        Requests.Apply(catalog);
        _routes.Apply(catalog);
    }

    /// <summary>Starts taking requests; a port that cannot be bound is an <see cref="IOException"/>.</summary>
    /// <param name="address">Null for all.</param>
    /// <param name="port">0 for one that the system chooses.</param>
    /// <param name="tlsPort">The same; null for no TLS.</param>
    public async Task ListenAsync(IPAddress? address, int port, int? tlsPort) =>
        _server = await ProxyServer.StartAsync(
            _application, address, port, tlsPort, Http, Https, Handshake, _clients, _loops, _time, _logging).ConfigureAwait(false);

    /// <inheritdoc cref="ProxyServer.DrainAsync"/>
    public Task DrainAsync(TimeSpan grace) => _server?.DrainAsync(grace) ?? Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_server is not null) await _server.DisposeAsync().ConfigureAwait(false);
        Certificates.Dispose();
        _materials.Dispose();
        _upstreams.Close();
        _heartbeat.Dispose();
        _loops?.Dispose();
    }
}
