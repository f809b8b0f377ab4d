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
var figures = Figures.Open(Path.Combine(options.Artifacts, "figures"));
// Of this run alone where there are switches that change what is measured.
var isKept = !options.CountSystemCalls && !options.Tracing && options.AccessLog == "off";

report.Line(options.CountSystemCalls
    ? "System calls of all the proxy's processes."
    : $"{options.Rounds} rounds of {options.Seconds} s, proxies in turn; proxy on core {options.ProxyCore}, client and origin on "
        + $"{options.LoadCores}. CPU is user and system time of all the proxy's processes.");
report.Line();

var loads = Workload.All.Where(w => options.Workloads.Contains(w.Name)).ToList();
string[] withOrigin = [StartBench.Name, MemoryBench.Name, ScaleBench.Services, ScaleBench.Group, ScaleBench.Changes];
if (loads.Count > 0 || withOrigin.Any(options.Workloads.Contains))
{
    using var origin = Origin.Start(options);
    await using var engine = await EngineStandIn.StartAsync(origin.Port);
    using var uploads = new UploadOrigin();
    await using var engineOfUploads = await EngineStandIn.StartAsync(uploads.Port);
    foreach (var workload in loads)
    {
        var (port, itsEngine) = workload.UploadBytes > 0 ? (uploads.Port, engineOfUploads) : (origin.Port, engine);
        if (options.CountSystemCalls)
        {
            SystemCallBench.Run(workload, port, itsEngine, options, report, problems);
            continue;
        }
        Console.Error.Write($"{workload.Name} ");
        var samples = LoadBench.Run(workload, port, itsEngine, options, problems);
        report.Load(workload, samples, options);
        figures.Begin(workload.Name);
        foreach (var sample in samples) sample.AddTo(figures, workload.Name, sample.Proxy);
        if (isKept) figures.Save(workload.Name);
    }
    await MeasureAsync(StartBench.Name, () => Task.Run(() => StartBench.Run(origin, engine, options, figures, report, problems)));
    await MeasureAsync(MemoryBench.Name, () => MemoryBench.RunAsync(origin, engine, options, figures, problems));
    await MeasureAsync(ScaleBench.Services, () => ScaleBench.RunServicesAsync(origin, options, figures));
    await MeasureAsync(ScaleBench.Group, () => ScaleBench.RunGroupAsync(origin, options, figures));
    await MeasureAsync(ScaleBench.Changes, () => ScaleBench.RunChangesAsync(origin, options, figures));
}
await MeasureAsync(WebSocketBench.Name, () => WebSocketBench.RunAsync(options, figures));
if (options.Workloads.Contains(RouteBench.Name) && !options.CountSystemCalls)
    RouteBench.Run(options, report);
if (options.Workloads.Contains(MetricsBench.Name) && !options.CountSystemCalls)
    MetricsBench.Run(options, report);

foreach (var problem in problems)
    report.Line($"- {problem}");
Directory.CreateDirectory(options.Artifacts);
File.WriteAllText(Path.Combine(options.Artifacts, "report.md"), report.Text);
if (options.Report)
    PerformanceReport.Write(Path.Combine("docs", "performance"), figures, options);
return problems.Count == 0 ? 0 : 1;

async Task MeasureAsync(string name, Func<Task> run)
{
    if (!options.Workloads.Contains(name) || options.CountSystemCalls) return;
    Console.Error.Write($"{name} ");
    figures.Begin(name);
    try
    {
        await run();
    }
    catch (InvalidOperationException e)
    {
        problems.Add($"{name}: {e.Message}");
    }
    foreach (var group in figures.Of(name).GroupBy(f => (f.Subject, f.Measure)))
        report.Line(string.Create(CultureInfo.InvariantCulture,
            $"{name}: {group.Key.Subject}: {group.Key.Measure} {Statistics.Median(group.Select(f => f.Value)):0.##}"));
    report.Line();
    if (isKept) figures.Save(name);
}
