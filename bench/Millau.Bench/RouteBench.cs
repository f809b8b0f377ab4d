using System.Collections.Immutable;
using System.Diagnostics;
using System.Net;
using Millau.Discovery;
using Millau.Routing;
using Millau.Upstreams;

namespace Millau.Bench;

/// <summary>What one route look-up costs with few and with many services. In this process, compiled just in time.</summary>
internal static class RouteBench
{
    public const string Name = "routes";

    private const int Lookups = 200_000;

    private static readonly int[] Sizes = [10, 1_000, 10_000];

    /// <summary>Service i has the host and path given; a request for it asks for the other two.</summary>
    private sealed record Shape(string Title, Func<int, string> Host, Func<int, string> Path, Func<int, string> AskedHost, Func<int, string> AskedPath);

    private static readonly Shape[] Shapes =
    [
        new("a host each", i => $"service-{i}.example.com", _ => "/", i => $"service-{i}.example.com", _ => "/api/items/4711"),
        new("a host each, asked for a name two labels below", i => $"service-{i}.example.com", _ => "/",
            i => $"a.b.service-{i}.example.com:8080", _ => "/api/items/4711"),
        new("one host, a path each", _ => "example.com", i => $"/service-{i}/", _ => "example.com", i => $"/service-{i}/items/4711"),
        new("any host, a path each", _ => "*", i => $"/service-{i}/", i => $"unknown-{i}.example.com", i => $"/service-{i}/items/4711"),
    ];

    public static void Run(Options options, Report report)
    {
        report.Line("### routes: one look-up, services asked for at random");
        report.Line();
        report.Line($"| services have | {string.Join(" | ", Sizes.Select(s => $"{s:N0} services: ns, median (min–max)"))} | bytes allocated |");
        report.Line($"| --- |{string.Concat(Sizes.Select(_ => " --- |"))} --- |");
        var buildTimes = new List<string>();
        foreach (var shape in Shapes)
        {
            var cells = new List<string>();
            long allocated = 0;
            foreach (var size in Sizes)
            {
                var clock = Stopwatch.StartNew();
                var table = Build(shape, size);
                buildTimes.Add($"{size:N0}: {clock.Elapsed.TotalMilliseconds:0.0} ms");
                var (nanoseconds, bytes) = Measure(shape, size, table, options.Rounds);
                cells.Add($"{Statistics.Median(nanoseconds):0} ({nanoseconds.Min():0}–{nanoseconds.Max():0})");
                allocated += bytes;
            }
            report.Line($"| {shape.Title} | {string.Join(" | ", cells)} | {allocated} |");
        }
        report.Line();
        report.Line($"Building the table of the last shape: {string.Join(", ", buildTimes.TakeLast(Sizes.Length))}.");
        report.Line();
    }

    private static RouteTable Build(Shape shape, int size)
    {
        var catalog = new ServiceCatalog([.. Enumerable.Range(0, size).Select(i => new Service
        {
            Name = $"service-{i}",
            Hosts = [shape.Host(i)],
            Path = shape.Path(i),
            Timeout = TimeSpan.FromSeconds(30),
            Retry = TimeSpan.FromSeconds(60),
            Instances = [new Instance($"task-{i}", $"service-{i}.1", new IPEndPoint(IPAddress.Loopback, 80), InstancePhase.Running)],
        })]);
        // Without an UpstreamRegistry: the look-up does not touch instances.
        ImmutableArray<UpstreamService> upstreams =
            [.. catalog.Services.Select(s => new UpstreamService(s.Name, s.Timeout, s.Retry, [], IsStarting: false))];
        return RouteTableBuilder.Build(catalog, upstreams);
    }

    private static (double[] Nanoseconds, long Bytes) Measure(Shape shape, int size, RouteTable table, int rounds)
    {
        // The same order in every run. Asked for at random, many services do not fit the CPU's caches, as in a busy ingress.
        var random = new Random(4711);
        var asked = new (string Host, ReadOnlyMemory<char> Path)[size];
        for (var i = 0; i < size; i++)
        {
            asked[i] = (shape.AskedHost(i), shape.AskedPath(i).AsMemory());
            var found = table.Match(asked[i].Host, asked[i].Path).Current;
            if (found is null || found.Host != shape.Host(i) || found.Path != shape.Path(i))
                throw new InvalidOperationException($"{asked[i].Host}{asked[i].Path} was routed to {found}");
        }
        random.Shuffle(asked);

        Time(table, asked);
        var nanoseconds = new double[rounds];
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var round = 0; round < rounds; round++)
            nanoseconds[round] = Time(table, asked) * 1e9 / Stopwatch.Frequency / Lookups;
        return (nanoseconds, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static long Time(RouteTable table, (string Host, ReadOnlyMemory<char> Path)[] asked)
    {
        var missed = 0;
        var next = 0;
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < Lookups; i++)
        {
            ref readonly var request = ref asked[next];
            if (++next == asked.Length)
                next = 0;
            if (table.Match(request.Host, request.Path).Current is null)
                missed++;
        }
        var elapsed = Stopwatch.GetTimestamp() - start;
        return missed == 0 ? elapsed : throw new InvalidOperationException($"{missed} look-ups found nothing");
    }
}
