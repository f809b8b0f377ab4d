using System.Diagnostics;

namespace Millau.Bench;

/// <summary>One proxy in one round.</summary>
/// <param name="MicrosecondsPerRequest">CPU time, user and system, of all the proxy's processes.</param>
/// <param name="PeakKilobytes">Largest resident size during the run.</param>
/// <param name="OtherShare">Share of the proxy's core that something else had: above a few percent the figures are noisy.</param>
internal sealed record Sample(string Proxy, int Round, WrkResult Wrk, double MicrosecondsPerRequest, long PeakKilobytes, double OtherShare)
{
    /// <summary>On Millau's collected heap; no number for others.</summary>
    public double AllocatedPerRequest { get; init; } = double.NaN;

    public void AddTo(Figures figures, string workload, string subject)
    {
        figures.Add(workload, subject, Measures.Cpu, Round, MicrosecondsPerRequest);
        figures.Add(workload, subject, Measures.RequestsPerSecond, Round, Wrk.Requests / Wrk.Duration.TotalSeconds);
        figures.Add(workload, subject, Measures.Mean, Round, Wrk.MeanMilliseconds);
        figures.Add(workload, subject, Measures.Median, Round, Wrk.MedianMilliseconds);
        figures.Add(workload, subject, Measures.P99, Round, Wrk.P99Milliseconds);
        figures.Add(workload, subject, Measures.Least, Round, Wrk.LeastMilliseconds);
        figures.Add(workload, subject, Measures.Peak, Round, PeakKilobytes / 1024.0);
        figures.Add(workload, subject, Measures.CoreLost, Round, OtherShare);
        figures.Add(workload, subject, Measures.Errors, Round, Wrk.Errors);
        figures.Add(workload, subject, Measures.Allocated, Round, AllocatedPerRequest);
    }
}

/// <summary>Runs a workload against all proxies in turn, round after round, so that a disturbance meets each of them.</summary>
internal static class LoadBench
{
    /// <summary>Proxies start anew for each workload, so that no memory figure carries over from another.</summary>
    public static IReadOnlyList<Sample> Run(Workload workload, int originPort, EngineStandIn engine, Options options, List<string> problems)
    {
        var proxies = new List<RunningProxy>();
        try
        {
            foreach (var kind in ProxyKind.For(workload, options))
                if (TryStart(kind, workload, originPort, engine, options, problems) is { } proxy)
                    proxies.Add(proxy);

            var samples = new List<Sample>();
            for (var round = 0; round < options.Rounds; round++)
                for (var turn = 0; turn < proxies.Count; turn++)
                {
                    // Each round begins with another proxy: none always follows the same neighbour's cold caches.
                    var proxy = proxies[(round + turn) % proxies.Count];
                    samples.Add(Measure(proxy, workload, round, options));
                    Console.Error.Write('.');
                }
            Console.Error.WriteLine();
            return samples;
        }
        finally
        {
            foreach (var proxy in proxies)
                proxy.Dispose();
        }
    }

    private static RunningProxy? TryStart(ProxyKind kind, Workload workload, int originPort, EngineStandIn engine, Options options, List<string> problems)
    {
        try
        {
            var proxy = RunningProxy.Start(kind, workload, originPort, engine, options);
            try
            {
                Check.AnswersRightly(proxy, workload);
                Wrk.Run(workload, proxy, options.WarmUpSeconds, options.LoadCores, options.Directory);
                return proxy;
            }
            catch
            {
                proxy.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception or HttpRequestException)
        {
            // One proxy that does not work must not cost the others' figures; the report names it.
            problems.Add($"{workload.Name}: {kind.Name} left out: {e.Message}");
            return null;
        }
    }

    public static Sample Measure(RunningProxy proxy, Workload workload, int round, Options options)
    {
        proxy.Tree.ResetPeak();
        var allocated = Allocated(proxy);
        var clock = Stopwatch.StartNew();
        var coreBefore = Cores.BusyTicks(options.ProxyCore);
        var proxyBefore = proxy.Tree.CpuTicks();
        var wrk = Wrk.Run(workload, proxy, options.Seconds, options.LoadCores, options.Directory);
        var proxyTicks = proxy.Tree.CpuTicks() - proxyBefore;
        var others = Math.Max(0, Cores.BusyTicks(options.ProxyCore) - coreBefore - proxyTicks);
        return new Sample(proxy.Kind.Name, round, wrk,
            proxyTicks * 1e6 / Cores.TicksPerSecond / Math.Max(1, wrk.Requests),
            proxy.Tree.PeakKilobytes(),
            workload.IsOnAllCores ? double.NaN : others / (clock.Elapsed.TotalSeconds * Cores.TicksPerSecond))
        {
            AllocatedPerRequest = (Allocated(proxy) - allocated) / Math.Max(1, wrk.Requests),
        };
    }

    // The scrapes' own share is of no weight among tens of thousands of requests.
    private static double Allocated(RunningProxy proxy)
    {
        if (proxy.Kind.Name != ProxyKind.OfMillau.Name) return double.NaN;
        using var client = new HttpClient();
        var metrics = client.GetStringAsync($"http://127.0.0.1:{proxy.TelemetryPort}/metrics").GetAwaiter().GetResult();
        return double.Parse(metrics.Split('\n').First(l => l.StartsWith("dotnet_gc_allocated_bytes_total ", StringComparison.Ordinal)).Split(' ')[1],
            System.Globalization.CultureInfo.InvariantCulture);
    }
}
