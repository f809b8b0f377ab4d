using System.Net;
using Microsoft.Extensions.Logging;
using Millau.Discovery;
using Millau.Telemetry;

namespace Millau.Demo;

/// <summary>Millau as its own program wires it, but on free ports of the loopback interface.</summary>
internal sealed class DemoMillau : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly MillauProxy _proxy;
    private readonly DockerDiscovery _discovery;
    private readonly TelemetryServer _telemetry;
    private readonly Task _discovering;
    private ITimer? _reporting;

    private DemoMillau(MillauProxy proxy, DockerDiscovery discovery, TelemetryServer telemetry)
    {
        _proxy = proxy;
        _discovery = discovery;
        _telemetry = telemetry;
        _discovering = discovery.RunAsync(_stop.Token);
    }

    /// <summary>Where clients connect to.</summary>
    public int Port => _proxy.EndPoint.Port;

    public int TelemetryPort => _telemetry.Port;

    /// <summary>Returns when it listens and all services are routed.</summary>
    public static async Task<DemoMillau> StartAsync(string dockerHost, ILoggerFactory logging)
    {
        if (!EngineEndpoint.TryParse(dockerHost, null, null, out var endpoint, out var error))
            throw new ArgumentException(error, nameof(dockerHost));
        var health = new Health(TimeProvider.System, logging.CreateLogger<Health>());
        var proxy = new MillauProxy(new ProxyOptions { ServedBy = Environment.MachineName }, TimeProvider.System, logging);
        // No container of its own, wherever the demo runs: the stand-in's addresses are those of this host.
        var options = new DiscoveryOptions { Endpoint = endpoint!, OwnContainerId = null };
        var discovery = new DockerDiscovery(
            options, logging.CreateLogger("Millau.Discovery"), TimeProvider.System, proxy.Apply);
        var pages = new Dictionary<string, TelemetryPage>
        {
            ["/"] = HealthPages.Word(health),
            ["/health"] = HealthPages.Json(health),
            ["/ui"] = UiPage.Create(),
            ["/status"] = StatusPages.Json(new StatusReporter(proxy, null, discovery, health, dockerHost, [], TimeProvider.System)),
        };
        var telemetry = await TelemetryServer.StartAsync(0, pages, logging, IPAddress.Loopback);
        var millau = new DemoMillau(proxy, discovery, telemetry);
        await discovery.FirstRead;
        millau._reporting = TimeProvider.System.CreateTimer(
            _ => MillauProcess.Report(discovery.Health, health), null, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        await proxy.ListenAsync(IPAddress.Loopback, 0, null);
        health.Up(Health.Listeners);
        return millau;
    }

    public async ValueTask DisposeAsync()
    {
        await _proxy.DrainAsync(TimeSpan.FromMilliseconds(500));
        await _stop.CancelAsync();
        await _discovering;
        if (_reporting is not null)
            await _reporting.DisposeAsync();
        await _telemetry.DisposeAsync();
        await _proxy.DisposeAsync();
        _discovery.Dispose();
        _stop.Dispose();
    }
}
