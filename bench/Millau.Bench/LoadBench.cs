using System.Diagnostics;

namespace Millau.Bench;

/// <summary>One proxy in one round.</summary>
/// <param name="MicrosecondsPerRequest">CPU time, user and system, of all the proxy's processes.</param>
/// <param name="PeakKilobytes">Largest resident size during the run.</param>
/// <param name="OtherShare">Share of the proxy's core that something else had: above a few percent the figures are noisy.</param>
internal sealed record Sample(string Proxy, int Round, WrkResult Wrk, double MicrosecondsPerRequest, long PeakKilobytes, double OtherShare);

/// <summary>Runs a workload against all proxies in turn, round after round, so that a disturbance meets each of them.</summary>
internal static class LoadBench
{
    /// <summary>Proxies start anew for each workload, so that no memory figure carries over from another.</summary>
    public static IReadOnlyList<Sample> Run(Workload workload, Origin origin, EngineStandIn engine, Options options, List<string> problems)
    {
        var proxies = new List<RunningProxy>();
        try
        {
            foreach (var kind in ProxyKind.For(workload, options))
                if (TryStart(kind, workload, origin, engine, options, problems) is { } proxy)
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

    private static RunningProxy? TryStart(ProxyKind kind, Workload workload, Origin origin, EngineStandIn engine, Options options, List<string> problems)
    {
        try
        {
            var proxy = RunningProxy.Start(kind, workload, origin.Port, engine, options);
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

    private static Sample Measure(RunningProxy proxy, Workload workload, int round, Options options)
    {
        proxy.Tree.ResetPeak();
        var clock = Stopwatch.StartNew();
        var coreBefore = Cores.BusyTicks(options.ProxyCore);
        var proxyBefore = proxy.Tree.CpuTicks();
        var wrk = Wrk.Run(workload, proxy, options.Seconds, options.LoadCores, options.Directory);
        var proxyTicks = proxy.Tree.CpuTicks() - proxyBefore;
        var others = Math.Max(0, Cores.BusyTicks(options.ProxyCore) - coreBefore - proxyTicks);
        return new Sample(proxy.Kind.Name, round, wrk,
            proxyTicks * 1e6 / Cores.TicksPerSecond / Math.Max(1, wrk.Requests),
            proxy.Tree.PeakKilobytes(),
            others / (clock.Elapsed.TotalSeconds * Cores.TicksPerSecond));
    }
}
