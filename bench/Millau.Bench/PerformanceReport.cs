using System.Text;

namespace Millau.Bench;

/// <summary>Writes all figures so far as one page, with plots.</summary>
internal static class PerformanceReport
{
    public static void Write(string directory, Figures figures, Options options)
    {
        Directory.CreateDirectory(directory);
        var text = new StringBuilder("""
            # Performance

            Written by `bench/run --report`. [notes.md](notes.md) tells what the remainder is made of. How the figures are taken:
            [bench/README.md](../../bench/README.md). Figures in one table were taken in turn; a ratio is the median of the rounds' ratios.
            **Compare the ratios**: the absolute figures belong to this machine and hour.

            ## Machine


            """);
        foreach (var fact in Machine.Facts(options)) Line(fact);
        Line();
        Line("## Goals");
        Line();
        Line("| | goal | measured | |");
        Line("| --- | --- | --- | --- |");
        foreach (var target in Target.All)
        {
            var value = target.Measured(figures);
            Line($"| {target.What} | {target.Limit} | {target.Text(value)} | {target.Outcome(value)} |");
        }
        Line();
        foreach (var (file, title) in Plot.Draw(figures, directory)) Line($"![{title}]({file})\n");
        Line("## Loads");
        Line();
        foreach (var workload in Workload.All.Where(w => figures.Has(w.Name))) Load(workload);
        Table(MemoryBench.Name, "memory: resident, MB; KB for each of 10,000 idle clients",
            (MemoryBench.Idle, "idle", "0.0"), (MemoryBench.Loaded, "64 busy clients, largest", "0.0"),
            (MemoryBench.PerClient, "KB an idle client", "0.0"), (MemoryBench.After, "after all have gone", "0.0"));
        Table(StartBench.Name, "start: from the start of the process to the first 200", (StartBench.ToServing, "ms", "0"),
            (StartBench.Image, "image MB", "0.0"), (StartBench.Binary, "binary MB", "0.0"));
        Table(ScaleBench.Services, "services: GET of JSON, 2 instances a service, 64 connections", Scale);
        Table(ScaleBench.Group, "group: many instances of one service", Scale);
        Table(ScaleBench.Changes, "changes: routes change under load",
            (Measures.Cpu, "CPU µs/request", "0.0"), (Measures.P99, "p99 ms", "0.0"), (Measures.CoreLost, "share of the core lost", "0.00"), (Measures.Errors, "errors", "0"),
            (ScaleBench.Effective, "ms until a change is in force", "0"), (ScaleBench.PerChange, "CPU ms a change", "0.0"));
        Table(WebSocketBench.Name, "websockets: 5,000 open", (WebSocketBench.PerSocket, "KB each", "0.0"),
            (WebSocketBench.IdleCpu, "% of a core while silent", "0.0"), (WebSocketBench.Echo, "ms for a message through each, and back", "0"));
        File.WriteAllText(Path.Combine(directory, "README.md"), text.ToString().TrimEnd() + "\n");

        void Line(string line = "") => text.Append(line).Append('\n');

        void Load(Workload workload)
        {
            var name = workload.Name;
            var reference = figures.Best(name, Measures.Cpu, "nginx");
            Line($"### {name}: {workload.Title}");
            Line();
            Line("| proxy | CPU µs/request, median (min–max) | ÷ nginx | requests/s | ÷ nginx | least ms | mean ms | p50 ms | p99 ms | ÷ nginx | memory MB | core lost | errors |");
            Line("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
            foreach (var proxy in figures.Subjects(name))
            {
                var cost = figures.Values(name, proxy, Measures.Cpu);
                Line($"| {proxy} | {Report.Cost(Statistics.Median(cost))} ({Report.Cost(cost.Min())}–{Report.Cost(cost.Max())}) "
                    + $"| {Ratio(Measures.Cpu)} | {Cell(Measures.RequestsPerSecond, "N0")} | {Ratio(Measures.RequestsPerSecond)} "
                    + $"| {Cell(Measures.Least, "0.000")} | {Cell(Measures.Mean, "0.00")} | {Cell(Measures.Median, "0.00")} | {Cell(Measures.P99, "0.0")} | {Ratio(Measures.P99)} "
                    + $"| {Cell(Measures.Peak, "0")} | {Percent(figures.Median(name, proxy, Measures.CoreLost))} "
                    + $"| {Report.Number(figures.Values(name, proxy, Measures.Errors).Sum(), "0")} |");

                string Cell(string measure, string format) => Text(figures.Median(name, proxy, measure), format);
                string Ratio(string measure) => Text(figures.Ratio(name, proxy, reference, measure), "0.00");
            }
            Line();
            var lost = Statistics.Median(figures.Of(name).Where(f => f.Measure == Measures.CoreLost).Select(f => f.Value));
            if (lost > 0.1)
            {
                Line($"**Noisy**: other work had {Percent(lost)} of the proxy's core. The ratios may still hold; the rest does not.");
                Line();
            }
            if (figures.Median(name, "millau", Measures.Allocated) is var allocated && !double.IsNaN(allocated))
            {
                Line($"Millau allocated {Report.Number(allocated, "N0")} bytes a request.");
                Line();
            }
        }

        void Table(string name, string title, params (string Measure, string Title, string Format)[] columns)
        {
            if (!figures.Has(name)) return;
            columns = [.. columns.Where(c => figures.Of(name).Any(f => f.Measure == c.Measure))];
            Line($"### {title}");
            Line();
            Line($"| | {string.Join(" | ", columns.Select(c => c.Title))} |");
            Line($"| --- |{string.Concat(columns.Select(_ => " --- |"))}");
            foreach (var subject in figures.Subjects(name))
                Line($"| {subject} | {string.Join(" | ", columns.Select(c => Text(figures.Median(name, subject, c.Measure), c.Format)))} |");
            Line();
        }
    }

    private static (string, string, string)[] Scale =>
    [
        (Measures.Cpu, "CPU µs/request", "0.0"), (Measures.RequestsPerSecond, "requests/s", "N0"), (Measures.P99, "p99 ms", "0.0"),
        (ScaleBench.Memory, "memory MB", "0"), (ScaleBench.Start, "ms to serving", "0"), (Measures.CoreLost, "share of the core lost", "0.00"), (Measures.Errors, "errors", "0"),
    ];

    private static string Percent(double share) => double.IsNaN(share) ? "–" : Report.Number(100 * share, "0") + " %";

    private static string Text(double value, string format) => double.IsNaN(value) ? "–" : Report.Number(value, format);
}
