using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using Millau.Bench;

[assembly: SupportedOSPlatform("linux")]

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;

Options options;
try
{
    options = Options.Parse(args);
}
catch (ArgumentException e)
{
    Console.Error.WriteLine($"bench/run: {e.Message}");
    return 2;
}

// The stand-in of the Engine lives in this process: keep it off the proxy's core.
using (var self = Process.GetCurrentProcess())
    self.ProcessorAffinity = (nint)(((1L << Cores.OfMachine) - 1) & ~(1L << options.ProxyCore));

var report = new Report();
var problems = new List<string>();
var rows = new List<string> { "workload,proxy,round,requests,seconds,cpu_us_per_request,p50_ms,p99_ms,peak_kb,core_lost,errors" };

report.Line(options.CountSystemCalls
    ? "System calls of all the proxy's processes."
    : $"{options.Rounds} rounds of {options.Seconds} s, proxies in turn; proxy on core {options.ProxyCore}, client and origin on "
        + $"{options.LoadCores}. CPU is user and system time of all the proxy's processes.");
report.Line();

var loads = Workload.All.Where(w => options.Workloads.Contains(w.Name)).ToList();
if (loads.Count > 0 || options.Workloads.Contains(StartBench.Name))
{
    using var origin = Origin.Start(options);
    await using var engine = await EngineStandIn.StartAsync(origin.Port);
    foreach (var workload in loads)
    {
        if (options.CountSystemCalls)
        {
            SystemCallBench.Run(workload, origin, engine, options, report, problems);
            continue;
        }
        Console.Error.Write($"{workload.Name} ");
        var samples = LoadBench.Run(workload, origin, engine, options, problems);
        report.Load(workload, samples, options);
        rows.AddRange(samples.Select(s => FormattableString.Invariant(
            $"{workload.Name},{s.Proxy},{s.Round},{s.Wrk.Requests},{s.Wrk.Duration.TotalSeconds:0.000},{s.MicrosecondsPerRequest:0.00},{s.Wrk.MedianMilliseconds:0.000},{s.Wrk.P99Milliseconds:0.000},{s.PeakKilobytes},{s.OtherShare:0.000},{s.Wrk.Errors}")));
    }
    if (options.Workloads.Contains(StartBench.Name) && !options.CountSystemCalls)
        StartBench.Run(origin, engine, options, report, problems);
}
if (options.Workloads.Contains(RouteBench.Name) && !options.CountSystemCalls)
    RouteBench.Run(options, report);
if (options.Workloads.Contains(MetricsBench.Name) && !options.CountSystemCalls)
    MetricsBench.Run(options, report);

foreach (var problem in problems)
    report.Line($"- {problem}");
Directory.CreateDirectory(options.Artifacts);
File.WriteAllText(Path.Combine(options.Artifacts, "report.md"), report.Text);
if (rows.Count > 1)
    File.WriteAllLines(Path.Combine(options.Artifacts, "runs.csv"), rows);
return problems.Count == 0 ? 0 : 1;
