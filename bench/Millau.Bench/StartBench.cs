namespace Millau.Bench;

/// <summary>How long each proxy takes from the start of its process to the first answer, and how big Millau is on disk.</summary>
internal static class StartBench
{
    public const string Name = "start";
    public const string ToServing = "ms";
    public const string Image = "image_mb";
    public const string Binary = "binary_mb";

    public static void Run(Origin origin, EngineStandIn engine, Options options, Figures figures, Report report, List<string> problems)
    {
        report.Line("### start: from the start of the process to the first 200");
        report.Line();
        report.Line("| proxy | ms, median (min–max) |");
        report.Line("| --- | --- |");
        var kinds = ProxyKind.For(null, options);
        var times = kinds.ToDictionary(k => k.Name, _ => new List<double>());
        for (var round = 0; round < options.Rounds; round++)
            foreach (var kind in kinds)
            {
                try
                {
                    using var proxy = RunningProxy.Start(kind, null, origin.Port, engine, options);
                    times[kind.Name].Add(proxy.TimeToServe.TotalMilliseconds);
                    figures.Add(Name, kind.Name, ToServing, round, proxy.TimeToServe.TotalMilliseconds);
                }
                catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
                {
                    if (round == 0)
                        problems.Add($"{Name}: {kind.Name}: {e.Message}");
                }
            }
        foreach (var (name, values) in times.Where(t => t.Value.Count > 0))
            report.Line($"| {name} | {Milliseconds(Statistics.Median(values))} ({Milliseconds(values.Min())}–{Milliseconds(values.Max())}) |");
        report.Line();
        if (options.Wants("millau"))
        {
            Sizes(options, figures, report);
            report.Line();
        }
    }

    private static string Milliseconds(double value) => Report.Number(value, "0");

    /// <summary>What the image consists of: the same files that ./image packs, before they are compressed for a registry.</summary>
    private static void Sizes(Options options, Figures figures, Report report)
    {
        var root = Path.Combine(options.Directory, "rootfs");
        if (Tool.Output("build/rootfs", options.MillauBinary, root, "millau") is null)
        {
            report.Line("The image could not be laid out: build/rootfs says why.");
            return;
        }
        var files = new DirectoryInfo(root).EnumerateFiles("*", SearchOption.AllDirectories).ToList();
        figures.Add(Name, "millau", Image, 0, files.Sum(f => f.Length) / 1e6);
        figures.Add(Name, "millau", Binary, 0, new FileInfo(options.MillauBinary).Length / 1e6);
        report.Line($"Millau's image: {Megabytes(files.Sum(f => f.Length))}, of which "
            + string.Join(", ", files.OrderByDescending(f => f.Length).Take(6).Select(f => $"{f.Name} {Megabytes(f.Length)}")) + ".");
    }

    private static string Megabytes(long bytes) => $"{Report.Number(bytes / 1e6, "0.00")} MB";
}
