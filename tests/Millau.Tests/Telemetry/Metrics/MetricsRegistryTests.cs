using Millau.Telemetry;
using Millau.Telemetry.Metrics;


namespace Millau.Tests.Telemetry.Metrics;

public class MetricsRegistryTests
{
    private readonly MetricsRegistry _metrics = new();

    [Fact]
    public async Task Rows_that_are_not_set_again_are_gone()
    {
        var set = new List<string> { "a", "b" };
        var rows = _metrics.Rows("things", "Things.", "name");
        _metrics.BeforeScrape(() =>
        {
            foreach (var name in set) rows.Set(1, name);
        });
        Assert.Equal(["things{name=\"a\"} 1", "things{name=\"b\"} 1"], (await Scrape.OfAsync(_metrics)).Of("things"));

        set.Remove("a");
        Assert.Equal(["things{name=\"b\"} 1"], (await Scrape.OfAsync(_metrics)).Of("things"));
        set.Add("a");
        Assert.Equal(["things{name=\"a\"} 1", "things{name=\"b\"} 1"], (await Scrape.OfAsync(_metrics)).Of("things"));
    }

    [Fact]
    public async Task A_value_that_is_not_known_has_no_row()
    {
        double? value = null;
        var rows = _metrics.Rows("age", "Age.");
        _metrics.BeforeScrape(() =>
        {
            if (value is { } known) rows.Set(known);
        });
        Assert.Empty((await Scrape.OfAsync(_metrics)).Of("age"));

        value = 1.5;
        Assert.Equal(["age 1.5"], (await Scrape.OfAsync(_metrics)).Of("age"));
        value = null;
        Assert.Empty((await Scrape.OfAsync(_metrics)).Of("age"));
        value = 2;
        Assert.Equal(["age 2"], (await Scrape.OfAsync(_metrics)).Of("age"));
    }

    [Fact]
    public async Task Label_values_are_escaped_and_labels_keep_their_order()
    {
        _metrics.Counter("odd_total", "Odd.", "z", "a").WithLabels("q\"b\\n\n", "é").Inc();

        Assert.True((await Scrape.OfAsync(_metrics)).Has("odd_total{z=\"q\\\"b\\\\n\\n\",a=\"é\"} 1"));
    }

    [Fact]
    public async Task Rows_are_written_as_the_other_metrics_are()
    {
        var rows = _metrics.Rows("odd", "Odd.", "z", "a");
        _metrics.BeforeScrape(() =>
        {
            rows.Set(0.25, "q\"b\\n\n", "é");
            rows.Set(1_700_000_000, "", "x");
        });

        Assert.Equal(
            "# HELP odd Odd.\n# TYPE odd gauge\nodd{z=\"q\\\"b\\\\n\\n\",a=\"é\"} 0.25\nodd{z=\"\",a=\"x\"} 1700000000\n",
            (await Scrape.OfAsync(_metrics)).Text);
    }

    [Fact]
    public async Task A_scrape_that_failed_leaves_no_rows_to_the_next()
    {
        var rows = _metrics.Rows("things", "Things.", "name");
        var fails = true;
        _metrics.BeforeScrape(() =>
        {
            rows.Set(1, fails ? "a" : "b");
            if (fails) throw new InvalidOperationException();
        });
        await Assert.ThrowsAsync<InvalidOperationException>(() => Scrape.OfAsync(_metrics));

        fails = false;

        Assert.Equal(["things{name=\"b\"} 1"], (await Scrape.OfAsync(_metrics)).Of("things"));
    }

    [Fact]
    public async Task The_page_is_in_the_text_format_of_Prometheus()
    {
        _metrics.Counter("some_total", "Some.").Inc();

        var answer = await _metrics.AnswerAsync(new TelemetryRequest("", null));

        Assert.Equal((200, "text/plain; version=0.0.4; charset=utf-8"), (answer.Status, answer.ContentType));
        Assert.Equal("# HELP some_total Some.\n# TYPE some_total counter\nsome_total 1\n", System.Text.Encoding.UTF8.GetString(answer.Body.Span));
    }

    [Fact]
    public async Task Scrapes_at_the_same_time_do_not_disturb_each_other()
    {
        var rows = _metrics.Rows("things", "Things.", "name");
        _metrics.BeforeScrape(() =>
        {
            for (var i = 0; i < 100; i++) rows.Set(i, $"{i}");
        });

        var scrapes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Scrape.OfAsync(_metrics))));

        Assert.All(scrapes, s => Assert.Equal(100, s.Of("things").Length));
    }
}
