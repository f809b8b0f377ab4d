using System.Globalization;
using System.Text;

namespace Millau.Bench;

/// <summary>Markdown, printed as it comes and kept in a file.</summary>
internal sealed class Report
{
    private readonly StringBuilder _text = new();

    public string Text => _text.ToString();

    public void Line(string line = "")
    {
        Console.WriteLine(line);
        _text.Append(line).Append('\n');
    }

    public void Load(Workload workload, IReadOnlyList<Sample> samples, Options options)
    {
        Line($"### {workload.Name}: {workload.Title}");
        Line();
        Line("| proxy | CPU µs/request, median (min–max) | ÷ nginx | requests/s | p99 ms | memory MB | core lost to others | errors |");
        Line("| --- | --- | --- | --- | --- | --- | --- | --- |");
        var byProxy = samples.GroupBy(s => s.Proxy).ToList();
        var reference = byProxy.Where(g => g.Key.StartsWith(ProxyKind.Reference, StringComparison.Ordinal))
            .MinBy(g => Statistics.Median(g.Select(s => s.MicrosecondsPerRequest)))?.ToDictionary(s => s.Round, s => s.MicrosecondsPerRequest);
        foreach (var group in byProxy.OrderBy(g => g.Min(s => Order(s.Proxy, options))))
        {
            var cost = group.Select(s => s.MicrosecondsPerRequest).ToArray();
            // A round's figures were taken seconds apart: their ratio is steadier than the ratio of the medians.
            var ratio = reference is null ? "–"
                : Number(Statistics.Median(group.Select(s => s.MicrosecondsPerRequest / reference[s.Round])), "0.00");
            Line($"| {group.Key} | {Cost(Statistics.Median(cost))} ({Cost(cost.Min())}–{Cost(cost.Max())}) | {ratio} "
                + $"| {Number(Statistics.Median(group.Select(s => s.Wrk.Requests / s.Wrk.Duration.TotalSeconds)), "N0")} "
                + $"| {Number(Statistics.Median(group.Select(s => s.Wrk.P99Milliseconds)), "0.0")} "
                + $"| {Number(group.Max(s => s.PeakKilobytes) / 1024.0, "0")} "
                + $"| {(double.IsNaN(group.First().OtherShare) ? "–" : Number(100 * Statistics.Median(group.Select(s => s.OtherShare)), "0") + " %")} "
                + $"| {group.Sum(s => s.Wrk.Errors)} |");
        }
        Line();
        var lost = Statistics.Median(samples.Select(s => s.OtherShare));
        if (lost > 0.1)
        {
            Line($"**Noisy**: other work had {Number(100 * lost, "0")} % of the proxy's core. The ratios may still hold; the rest does not.");
            Line();
        }
    }

    private static int Order(string proxy, Options options) =>
        ProxyKind.For(Workload.All.First(w => w.HasLargeBodies), options).Select((k, i) => (k.Name, i)).First(k => k.Name == proxy).i;

    /// <summary>Three digits that mean something, whether it is 17.2 or 2140.</summary>
    public static string Cost(double microseconds) => Number(microseconds, microseconds < 100 ? "0.0" : "0");

    public static string Number(double value, string format) =>
        double.IsNaN(value) ? "–" : value.ToString(format, CultureInfo.InvariantCulture);
}
