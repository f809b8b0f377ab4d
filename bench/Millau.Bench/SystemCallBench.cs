using System.Diagnostics;
using System.Globalization;

namespace Millau.Bench;

/// <summary>
/// Counts system calls a request with strace: a figure that hardly depends on how busy the machine is. The proxies are much
/// slower under strace and so see fewer events at once; compare the counts with each other, not with a timed run.
/// </summary>
internal static class SystemCallBench
{
    private const int Seconds = 5;

    public static void Run(Workload workload, int originPort, EngineStandIn engine, Options options, Report report, List<string> problems)
    {
        report.Line($"### {workload.Name}: system calls a request (strace, failed ones in brackets)");
        report.Line();
        report.Line("| proxy | all | most frequent |");
        report.Line("| --- | --- | --- |");
        foreach (var kind in ProxyKind.For(workload, options))
        {
            try
            {
                using var proxy = RunningProxy.Start(kind, workload, originPort, engine, options);
                Wrk.Run(workload, proxy, 1, options.LoadCores, options.Directory);
                report.Line(Count(proxy, workload, options));
            }
            catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                problems.Add($"system calls, {workload.Name}: {kind.Name}: {e.Message}");
            }
        }
        report.Line();
    }

    private static string Count(RunningProxy proxy, Workload workload, Options options)
    {
        var summary = Path.Combine(options.Directory, $"strace-{proxy.Port}");
        var start = new ProcessStartInfo("strace") { ArgumentList = { "-f", "-c", "-S", "calls", "-o", summary }, RedirectStandardError = true };
        foreach (var id in proxy.Tree.Ids)
        {
            start.ArgumentList.Add("-p");
            start.ArgumentList.Add($"{id}");
        }
        using var strace = Process.Start(start)!;
        WrkResult result;
        try
        {
            // It says "Process 123 attached" of each process; then it counts.
            var attached = Task.Run(strace.StandardError.ReadLine).Wait(TimeSpan.FromSeconds(5));
            if (!attached || strace.HasExited)
                throw new InvalidOperationException("strace could not attach");
            result = Wrk.Run(workload, proxy, Seconds, options.LoadCores, options.Directory);
            Tool.Output("kill", "-INT", $"{strace.Id}");
            _ = strace.StandardError.ReadToEndAsync();
            if (!strace.WaitForExit(TimeSpan.FromSeconds(10)))
                throw new InvalidOperationException("strace did not end");
        }
        finally
        {
            if (!strace.HasExited)
                strace.Kill();
        }

        // A request that did not end in time is a sign of strace's slowness; many errors are not.
        if (result.Requests == 0 || result.Errors * 2 > result.Requests)
            throw new InvalidOperationException($"{result.Requests} requests, {result.Errors} errors under strace");
        double requests = result.Requests;

        // % time, seconds, usecs/call, calls, [errors,] name
        var calls = File.ReadLines(summary).Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(f => f.Length is 5 or 6 && double.TryParse(f[0], CultureInfo.InvariantCulture, out _) && f[^1] != "total")
            .Select(f => (Name: f[^1], Calls: double.Parse(f[3], CultureInfo.InvariantCulture) / requests,
                Failed: f.Length == 6 ? double.Parse(f[4], CultureInfo.InvariantCulture) / requests : 0))
            .OrderByDescending(c => c.Calls).ToList();
        var frequent = calls.Where(c => c.Calls >= 0.05).Take(8)
            .Select(c => $"{c.Name} {Report.Number(c.Calls, "0.00")}" + (c.Failed >= 0.005 ? $" ({Report.Number(c.Failed, "0.00")})" : ""));
        var errors = result.Errors == 0 ? "" : $"; {result.Errors} errors in {result.Requests} requests";
        return $"| {proxy.Kind.Name} | {Report.Number(calls.Sum(c => c.Calls), "0.00")} | {string.Join(", ", frequent)}{errors} |";
    }
}
