using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests.Hostile;

/// <summary>
/// A mixture of all that clients do, for as long as MILLAU_SOAK_SECONDS says (<c>./test --soak</c>: ten minutes; a few seconds
/// else), while routes change: nothing fails, and memory, descriptors and threads of the native binary stay where they were.
/// </summary>
/// <remarks>SIGTSTP lets the load pause between two requests, SIGCONT lets it go on.</remarks>
[UnsupportedOSPlatform("windows")]
public class SoakTests
{
    // What is there after the first quarter is the measure; shorter runs are too short to have one.
    private static readonly TimeSpan Meaningful = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Change = TimeSpan.FromSeconds(1);

    [Fact]
    public async Task Memory_descriptors_and_threads_stay_flat_and_nothing_fails()
    {
        var duration = TimeSpan.FromSeconds(Number("MILLAU_SOAK_SECONDS", 5));
        var rate = Number("MILLAU_SOAK_RATE", 200);
        await using var engine = await EngineStandIn.StartAsync();
        await using var stack = await SoakStack.StartAsync(engine);
        await using var millau = await MillauBinary.StartAsync(engine, ("LOGGING", "WARN"));
        using var load = new SoakLoad(millau, rate);
        await Until.TrueAsync(load.IsServedAsync, "routed");

        var paused = false;
        using var pause = PosixSignalRegistration.Create(PosixSignal.SIGTSTP, context => (context.Cancel, paused) = (true, true));
        using var resume = PosixSignalRegistration.Create(PosixSignal.SIGCONT, _ => paused = false);
        using var over = new CancellationTokenSource();
        var samples = new List<Sample>();
        var running = load.RunAsync(() => Volatile.Read(ref paused), over.Token);
        var (started, sampled) = (Stopwatch.GetTimestamp(), 0L);
        while (Stopwatch.GetElapsedTime(started) < duration)
        {
            await Task.Delay(Change, TestContext.Current.CancellationToken);
            if (paused) continue;
            stack.ChangeRoutes();
            if (sampled++ % 5 == 0) samples.Add(Sample.Of(millau.Process.Id));
        }
        await over.CancelAsync();
        await running;

        var (before, after) = (Sample.Median(samples[(samples.Count / 4)..(samples.Count / 2 + 1)]), Sample.Median(samples[(samples.Count * 3 / 4)..]));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"soak: seconds={duration.TotalSeconds} requests={load.Requests} ({load.Kinds}) failed={load.Failures.Count} route-changes={stack.Changes} samples={samples.Count} start=({samples[0]}) second-quarter=({before}) last-quarter=({after}) most=({Sample.Most(samples)})"));
        Assert.Empty(load.Failures);
        Assert.False(millau.Process.HasEnded);
        Assert.DoesNotContain("ERROR", millau.Output, StringComparison.Ordinal);
        if (duration < Meaningful) return;
        Assert.True(after.Kilobytes <= before.Kilobytes * 1.1 + 4096, $"memory grew from {before} to {after}");
        Assert.True(after.Descriptors <= before.Descriptors + 16, $"descriptors grew from {before} to {after}");
        Assert.True(after.Threads <= before.Threads + 4, $"threads grew from {before} to {after}");
    }

    private static int Number(string name, int otherwise) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;

    /// <summary>What the kernel says of a process.</summary>
    private sealed record Sample(long Kilobytes, int Descriptors, int Threads)
    {
        public static Sample Of(int process)
        {
            var status = File.ReadAllLines($"/proc/{process}/status");
            long Field(string name) => long.Parse(
                status.First(l => l.StartsWith(name, StringComparison.Ordinal)).Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1],
                CultureInfo.InvariantCulture);
            return new Sample(Field("VmRSS:"), Directory.GetFiles($"/proc/{process}/fd").Length, (int)Field("Threads:"));
        }

        public static Sample Median(List<Sample> samples) => new(
            samples.Select(s => s.Kilobytes).Order().ElementAt(samples.Count / 2),
            samples.Select(s => s.Descriptors).Order().ElementAt(samples.Count / 2),
            samples.Select(s => s.Threads).Order().ElementAt(samples.Count / 2));

        public static Sample Most(List<Sample> samples) =>
            new(samples.Max(s => s.Kilobytes), samples.Max(s => s.Descriptors), samples.Max(s => s.Threads));

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Kilobytes} kB, {Descriptors} descriptors, {Threads} threads");
    }
}
