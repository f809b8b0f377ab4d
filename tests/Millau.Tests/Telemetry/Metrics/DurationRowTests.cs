using Microsoft.Extensions.Logging.Abstractions;
using Millau.Telemetry.Metrics;
using Millau.Tests.Transport;
using Millau.Transport;

namespace Millau.Tests.Telemetry.Metrics;

/// <summary>What loops count for themselves is exposed as if each observation had gone to the histogram.</summary>
public sealed class DurationRowTests : IDisposable
{
    private static readonly double[] Buckets = [0.005, 0.01, 0.3, 1.2, 30];
    private static readonly long[] Bounds = [.. Buckets.Select(static b => TimeSpan.FromSeconds(b).Ticks)];

    private readonly EventLoops _loops = new(NullLogger.Instance, 2);
    private readonly MetricsRegistry _metrics = new();

    [Fact]
    public async Task Each_duration_is_in_its_bucket_and_in_the_sum()
    {
        var plain = _metrics.Histogram("plain", "As the library does it.", Buckets, "of").WithLabels("x");
        var row = Row();
        // Both sides of each bound, bounds themselves, nothing, and more than the last.
        long[] durations = [0, 1, .. Bounds.SelectMany(static b => (long[])[b - 1, b, b, b + 1]), TimeSpan.TicksPerHour];
        for (var round = 0; round < 2; round++)
        {
            foreach (var ticks in durations) plain.Observe(TimeSpan.FromTicks(ticks).TotalSeconds);
            foreach (var (i, ticks) in durations.Index())
                await _loops.All[i % 2].RunAsync(() => row.Observe(EventLoop.Current, TimeSpan.FromTicks(ticks)));
            row.HandOver();
        }

        var scrape = await Scrape.OfAsync(_metrics);
        Assert.Equal(Of(scrape, "plain_bucket"), Of(scrape, "row_bucket"));
        Assert.Equal(Of(scrape, "plain_count"), Of(scrape, "row_count"));
        Assert.Equal(plain.Sum, Sum(scrape), 1e-9 * plain.Sum);
    }

    [Fact]
    public async Task What_is_observed_on_no_loop_counts_as_well()
    {
        var row = Row();
        row.Observe(null, TimeSpan.FromMilliseconds(7));
        await _loops.All[0].RunAsync(() => row.Observe(EventLoop.Current, TimeSpan.FromMilliseconds(7)));
        row.HandOver();
        row.HandOver();

        var scrape = await Scrape.OfAsync(_metrics);
        Assert.True(scrape.Has("row_count{of=\"x\"} 2"));
        Assert.True(scrape.Has("row_bucket{of=\"x\",le=\"0.005\"} 0"));
        Assert.True(scrape.Has("row_bucket{of=\"x\",le=\"0.01\"} 2"));
    }

    // A count without its duration would move to another bucket.
    [Fact]
    public async Task What_is_handed_over_while_loops_observe_stays_in_its_bucket()
    {
        const int times = 300_000;
        var row = Row();
        // On both sides of a bound, so that the least of error shows.
        var (shorter, longer) = (new TimeSpan(Bounds[1]), new TimeSpan(Bounds[1] + 1));
        void Observe()
        {
            for (var i = 0; i < times; i++) row.Observe(EventLoop.Current, i % 2 == 0 ? shorter : longer);
        }

        var observing = Task.WhenAll(_loops.All.Select(loop => loop.RunAsync(Observe)));
        while (!observing.IsCompleted) row.HandOver();
        await observing;
        row.HandOver();

        var scrape = await Scrape.OfAsync(_metrics);
        Assert.True(scrape.Has("row_bucket{of=\"x\",le=\"0.005\"} 0"));
        Assert.True(scrape.Has($"row_bucket{{of=\"x\",le=\"0.01\"}} {times}"));
        Assert.True(scrape.Has($"row_bucket{{of=\"x\",le=\"0.3\"}} {2 * times}"));
        Assert.True(scrape.Has($"row_count{{of=\"x\"}} {2 * times}"));
        var sum = times * (shorter + longer).TotalSeconds;
        Assert.Equal(sum, Sum(scrape), 1e-6 * sum);
    }

    public void Dispose() => _loops.Dispose();

    private DurationRow Row() => new(_metrics.Histogram("row", "As loops do it.", Buckets, "of").WithLabels("x"), Bounds);

    private static string[] Of(Scrape scrape, string metric) => [.. scrape.Of(metric).Select(l => l[metric.Length..])];

    private static double Sum(Scrape scrape) =>
        double.Parse(Assert.Single(scrape.Of("row_sum")).Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
}
