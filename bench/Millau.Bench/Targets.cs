namespace Millau.Bench;

/// <summary>One goal of the project.</summary>
/// <param name="What">In words.</param>
/// <param name="AtMost">The limit; for <paramref name="IsLeast"/>, the least.</param>
/// <param name="Measured">From the figures; not a number if that was not measured.</param>
internal sealed record Target(string What, double AtMost, string Unit, Func<Figures, double> Measured, bool IsLeast = false)
{
    private const string Own = "millau";

    public static IReadOnlyList<Target> All { get; } =
    [
        new("JSON GET, kept alive: CPU ÷ nginx", 0.80, "", f => ToNginx(f, "json", Measures.Cpu)),
        new("JSON GET, kept alive: p99 ÷ nginx", 1.0, "", f => ToNginx(f, "json", Measures.P99)),
        new("JSON GET on all cores: throughput ÷ nginx", 1.1, "", f => ToNginx(f, "all-cores", Measures.RequestsPerSecond), IsLeast: true),
        new("GET of 100 KB: CPU ÷ the better of nginx and HAProxy", 0.85, "", f => ToBest(f, "get100k", Measures.Cpu, "nginx", "haproxy")),
        new("POST of 5 MB: CPU ÷ the better of nginx and HAProxy", 0.85, "", f => ToBest(f, "post5m", Measures.Cpu, "nginx", "haproxy")),
        new("one connection: mean latency ÷ best peer", 1.0, "", f => ToBest(f, "one", Measures.Mean, Peers)),
        new("one connection: least latency ÷ best peer", 1.0, "", f => ToBest(f, "one", Measures.Least, Peers)),
        new("https, kept alive: CPU ÷ nginx", 1.0, "", f => ToNginx(f, "https", Measures.Cpu)),
        new("HTTP/2: CPU ÷ nginx", 1.0, "", f => ToNginx(f, "h2", Measures.Cpu)),
        new("allocation of a plain GET, 64 connections", 512, "B", f => f.Median("json", Own, Measures.Allocated)),
        new("memory, idle", 15, "MB", f => f.Median(MemoryBench.Name, Own, MemoryBench.Idle)),
        new("memory, largest under load of 64 connections", 25, "MB", f => f.Median(MemoryBench.Name, Own, MemoryBench.Loaded)),
        new("memory of an idle client", 6, "KB", f => f.Median(MemoryBench.Name, Own, MemoryBench.PerClient)),
        new("CPU with 10,000 services ÷ with 10", 1.05, "",
            f => f.Ratio(ScaleBench.Services, ScaleBench.TenOfMany, ScaleBench.TenServices, Measures.Cpu, mostLost: 0.2)),
        new("start to serving", 100, "ms", f => f.Median(StartBench.Name, Own, StartBench.ToServing)),
        new("image", 20, "MB", f => f.Median(StartBench.Name, Own, StartBench.Image)),
    ];

    private static string[] Peers => ["nginx", "haproxy", "caddy", "yarp"];

    public string Limit => $"{(IsLeast ? "≥" : "≤")} {Text(AtMost)}";

    public string Outcome(double value) =>
        double.IsNaN(value) ? "not measured"
        : IsLeast ? value >= AtMost ? "met" : $"missed by {Report.Number(100 * (1 - value / AtMost), "0")} %"
        : value <= AtMost ? "met" : $"missed by {Report.Number(100 * (value / AtMost - 1), "0")} %";

    public string Text(double value) => double.IsNaN(value) ? "–"
        : Report.Number(value, Unit is "" ? "0.00" : Unit is "B" or "ms" ? "0" : "0.0") + (Unit is "" ? "" : " " + Unit);

    private static double ToNginx(Figures figures, string workload, string measure) => ToBest(figures, workload, measure, "nginx");

    private static double ToBest(Figures figures, string workload, string measure, params string[] peers) =>
        figures.Ratio(workload, Own, figures.Best(workload, measure, peers), measure);
}
