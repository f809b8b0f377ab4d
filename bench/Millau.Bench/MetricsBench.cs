using System.Diagnostics;
using System.Net;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Telemetry.Metrics;
using Millau.Upstreams;

namespace Millau.Bench;

/// <summary>
/// What it costs to count one answered request: all calls from its start to its end, with the clock readings and the tally
/// of its instance. In this process, compiled just in time.
/// </summary>
internal static class MetricsBench
{
    public const string Name = "metrics";

    private const int Requests = 500_000;
    private const int Services = 100;

    public static void Run(Options options, Report report)
    {
        using var heartbeat = new UpstreamHeartbeat(TimeProvider.System);
        var listener = new Listener("http");
        listener.Bind(8080);
        var metrics = new RequestMetrics(new MetricsRegistry(), TimeProvider.System, listener);
        var services = Enumerable.Range(0, Services).Select(i => $"service-{i}").ToArray();
        metrics.Apply(new ServiceCatalog([.. services.Select(Service)]));
        var instance = new UpstreamInstance("task", "service.1", new IPEndPoint(IPAddress.Loopback, 80), heartbeat)
        {
            Service = new UpstreamService(services[^1], TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(60), [], IsStarting: false),
        };
        var context = Context(listener);

        report.Line("### metrics: counting one answered request");
        report.Line();
        report.Line("| what | ns, median (min–max) | bytes allocated |");
        report.Line("| --- | --- | --- |");
        Measure("clock readings and the instance's tally", new RequestWatch(TimeProvider.System));
        Measure("the same and all metrics", new RequestWatch(TimeProvider.System, metrics));
        report.Line();

        void Measure(string what, RequestWatch watch)
        {
            Time(watch, context, instance);
            var nanoseconds = new double[options.Rounds];
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var round = 0; round < nanoseconds.Length; round++)
                nanoseconds[round] = Time(watch, context, instance) * 1e9 / Stopwatch.Frequency / Requests;
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            report.Line($"| {what} | {Statistics.Median(nanoseconds):0} ({nanoseconds.Min():0}–{nanoseconds.Max():0}) | {allocated} |");
        }
    }

    private static long Time(RequestWatch watch, RequestContext context, UpstreamInstance instance)
    {
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < Requests; i++)
        {
            watch.RequestStarted(context);
            watch.AttemptStarted(context, instance);
            watch.AttemptAnswered(context, 200);
            context.Outcome.ResponseBytes = 129;
            watch.AttemptEnded(context, AttemptFailure.None, "");
            watch.RequestEnded(context, 200);
            var at = context.Outcome.Listener;
            context.Outcome.Clear();
            context.Outcome.Listener = at;
        }
        return Stopwatch.GetTimestamp() - start;
    }

    private static RequestContext Context(Listener listener)
    {
        var context = new RequestContext(
            new ImaginedExchange(new ClientPeer(IPAddress.Loopback) { Listener = listener }, "GET", "/", Ingress.HttpVersion.Http2));
        context.Begin();
        return context;
    }

    private static Service Service(string name) => new()
    {
        Name = name,
        Hosts = ["*"],
        Path = "/",
        Timeout = TimeSpan.FromSeconds(30),
        Retry = TimeSpan.FromSeconds(60),
        Instances = [],
    };
}
