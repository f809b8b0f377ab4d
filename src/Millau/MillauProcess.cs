using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Telemetry;
using Millau.Telemetry.Access;
using Millau.Telemetry.Metrics;
using Millau.Telemetry.Tracing;
using Millau.Tls.Acme;
using OpenTelemetry.Exporter;

namespace Millau;

/// <summary>The program from start to exit: discovery → proxy, health beside them, and the end that loses no request.</summary>
internal sealed class MillauProcess(Settings settings, TimeProvider time, ILoggerFactory logging)
{
    /// <summary>How long requests in flight may take to finish after SIGTERM.</summary>
    private static readonly TimeSpan DrainGrace = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long the port stays shut while the Engine has not been read yet. A client that is refused tries elsewhere,
    /// or again; one that is told that no service matches does not.
    /// </summary>
    private static readonly TimeSpan FirstReadPatience = TimeSpan.FromSeconds(5);

    private readonly ILogger _log = logging.CreateLogger("Millau");

    /// <summary>Runs until SIGTERM or SIGINT.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> RunAsync()
    {
        var stop = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => OnSignal(signal, stop));
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => OnSignal(signal, stop));
        Log.Starting(_log, Product.Title, settings.HttpPort, settings.HttpsPort, settings.TelemetryPort, settings.Engine.Text);

        var health = new Health(time, logging.CreateLogger<Health>());
        var options = new ProxyOptions
        {
            ServedBy = settings.DebuggingHeaders ? Environment.MachineName : null,
            Clients = settings.Clients,
            RedirectPort = settings.HttpsPublishedPort,
        };
        // Disposed after the proxy, so that the last request is told as well.
        using var access = settings.AccessLog == AccessLogFormat.Off
            ? null
            : new AccessLog(settings.AccessLog, Console.OpenStandardOutput(), time, _log);
        using var tracing = settings.IsTraced ? new RequestTracing(new OtlpExporterOptions(), _log) : null;
        await using var proxy = new MillauProxy(
            options, time, logging, [.. new IRequestObserver?[] { access, tracing }.OfType<IRequestObserver>()]);
        if (access is not null) access.AddTo(proxy.Metrics);
        await using var acme = AutomaticHttps.Create(settings, proxy, time, logging);
        using var discovery = new DockerDiscovery(
            new DiscoveryOptions
            {
                Endpoint = settings.Engine,
                AllowedHosts = settings.AllowedHosts,
                OwnPorts = [settings.HttpPort, settings.HttpsPort, settings.TelemetryPort],
                ClientPorts = [settings.HttpPort, settings.HttpsPort],
            }, logging.CreateLogger("Millau.Discovery"), time, Apply);
        // Told of from the start, though they open only when there is something to route.
        proxy.Http.Bind(settings.HttpPort);
        proxy.Https.Bind(settings.HttpsPort);
        DiscoveryMetrics.Add(proxy.Metrics, discovery, time);
        ProcessMetrics.Add(proxy.Metrics);
        if (acme is not null) AcmeMetrics.Add(proxy.Metrics, () => acme.Status);
        var status = new StatusReporter(
            proxy, acme, discovery, health, settings.Engine.Text,
            [new("http", settings.HttpPort), new("https", settings.HttpsPort), new("telemetry", settings.TelemetryPort)], time);
        using var idle = IdleCollection.Start(time);
        using var watching = new CancellationTokenSource();
        Task discovering;
        try
        {
            var pages = new Dictionary<string, TelemetryPage>
            {
                ["/"] = HealthPages.Word(health),
                ["/health"] = HealthPages.Json(health),
                ["/metrics"] = proxy.Metrics.AnswerAsync,
                ["/status"] = StatusPages.Json(status),
                ["/ui"] = UiPage.Create(),
            };
            await using var telemetry = await TelemetryServer.StartAsync(settings.TelemetryPort, pages, logging)
                .ConfigureAwait(false);
            discovering = discovery.RunAsync(watching.Token);
            await Task.WhenAny(discovery.FirstRead, stop.Task, Task.Delay(FirstReadPatience, time)).ConfigureAwait(false);
            await using var reporting = time.CreateTimer(
                _ => Report(discovery.Health, health), null, TimeSpan.Zero, TimeSpan.FromSeconds(1));
            await proxy.ListenAsync(null, settings.HttpPort, settings.HttpsPort).ConfigureAwait(false);
            health.Up(Health.Listeners);
            Log.Listening(_log, settings.HttpPort, settings.HttpsPort);
            acme?.Start();
            await stop.Task.ConfigureAwait(false);

            Log.Draining(_log);
            health.Drain();
            await proxy.DrainAsync(DrainGrace).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            Log.CannotListen(_log, e.Message);
            return 1;
        }
        await watching.CancelAsync().ConfigureAwait(false);
        await discovering.ConfigureAwait(false);
        Log.Stopped(_log);
        return 0;

        void Apply(ServiceCatalog catalog)
        {
            proxy.Apply(catalog);
            acme?.Apply(catalog);
        }
    }

    // The first signal drains; a second one means that somebody does not want to wait, and takes its default course.
    private static void OnSignal(PosixSignalContext signal, TaskCompletionSource stop) => signal.Cancel = stop.TrySetResult();

    /// <summary>Carries the state of discovery over to the health of the process.</summary>
    public static void Report(DiscoveryHealth discovery, Health health)
    {
        if (discovery.IsReachable) health.Up(Health.Engine);
        else health.Down(Health.Engine, discovery.LastError);
    }
}
