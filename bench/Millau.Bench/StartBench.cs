namespace Millau.Bench;

/// <summary>How long each proxy takes from the start of its process to the first answer, and how big Millau is on disk.</summary>
internal static class StartBench
{
    public const string Name = "start";

    public static void Run(Origin origin, EngineStandIn engine, Options options, Report report, List<string> problems)
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
            report.Line(Sizes(options));
            report.Line();
        }
    }

    private static string Milliseconds(double value) => Report.Number(value, "0");

    private static string Sizes(Options options)
    {
        var binary = new FileInfo(options.MillauBinary);
        var image = Tool.Output("docker", "image", "inspect", "--format", "{{.Size}}", "millau:latest");
        return $"Millau's binary: {(binary.Exists ? Megabytes(binary.Length) : "not built")}. Its image `millau:latest`: "
            + $"{(long.TryParse(image, out var bytes) ? Megabytes(bytes) : "not on a Docker Engine that answers here (./image builds it)")}.";
    }

    private static string Megabytes(long bytes) => $"{Report.Number(bytes / 1e6, "0.0")} MB";
}
