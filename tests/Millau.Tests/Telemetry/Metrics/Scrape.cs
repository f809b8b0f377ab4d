using System.Text;
using Millau.Telemetry.Metrics;

namespace Millau.Tests.Telemetry.Metrics;

/// <summary>The text of <c>/metrics</c>, as lines.</summary>
internal sealed class Scrape
{
    private readonly HashSet<string> _lines;

    private Scrape(string text)
    {
        Text = text;
        _lines = [.. text.Split('\n')];
    }

    public string Text { get; }

    public static async Task<Scrape> OfAsync(MetricsRegistry metrics) =>
        new(Encoding.UTF8.GetString((await metrics.WriteAsync()).Span));

    /// <summary>Asks again until these lines are there: a request may be counted after its client has the answer.</summary>
    public static async Task<Scrape> WithAsync(MetricsRegistry metrics, params string[] lines)
    {
        var scrape = await OfAsync(metrics);
        var deadline = DateTime.UtcNow + Wire.ScriptedConnection.Deadline;
        while (!lines.All(scrape.Has) && DateTime.UtcNow < deadline)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5));
            scrape = await OfAsync(metrics);
        }
        foreach (var line in lines)
            Assert.True(scrape.Has(line), $"not there: {line}\n{string.Join('\n', scrape._lines.Where(l => l.StartsWith("millau_", StringComparison.Ordinal)))}");
        return scrape;
    }

    public bool Has(string line) => _lines.Contains(line);

    /// <summary>The lines of one metric, in alphabetical order.</summary>
    public string[] Of(string metric) =>
        [.. _lines.Where(l => l.StartsWith(metric + "{", StringComparison.Ordinal) || l.StartsWith(metric + " ", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)];
}
