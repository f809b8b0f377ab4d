using Prometheus;

namespace Millau.Telemetry.Metrics;

/// <summary>
/// All metrics of this process and their text. Counters are kept by those who count; what is a state, such as the number
/// of idle connections, is looked up when somebody asks.
/// </summary>
internal sealed class MetricsRegistry
{
    private const string TextFormat = "text/plain; version=0.0.4; charset=utf-8";

    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly MetricFactory _factory;
    private readonly SemaphoreSlim _oneAtATime = new(1);
    private readonly List<Action> _lookups = [];
    private readonly List<GaugeRows> _rows = [];
    private int _lastLength;

    public MetricsRegistry()
    {
        _factory = Prometheus.Metrics.WithCustomRegistry(_registry);
        // An exemplar is a look at the current activity and an allocation for each increment; nobody reads them here.
        _factory.ExemplarBehavior = ExemplarBehavior.NoExemplars();
    }

    /// <summary>A row for each set of label values that is asked for; without labels, one from the start.</summary>
    public Counter Counter(string name, string help, params string[] labels) => _factory.CreateCounter(name, help, labels);

    /// <inheritdoc cref="Counter"/>
    public Gauge Gauge(string name, string help, params string[] labels) => _factory.CreateGauge(name, help, labels);

    /// <inheritdoc cref="Counter"/>
    public Histogram Histogram(string name, string help, double[] buckets, params string[] labels) =>
        _factory.CreateHistogram(name, help, labels, new HistogramConfiguration { Buckets = buckets });

    /// <summary>Rows that are set anew each time somebody asks; those not set are gone. Add before the first scrape.</summary>
    public GaugeRows Rows(string name, string help, params string[] labels)
    {
        var rows = new GaugeRows(name, help, labels);
        _rows.Add(rows);
        return rows;
    }

    /// <summary>Called each time before the text is made, by one thread at a time. Add before the first scrape.</summary>
    public void BeforeScrape(Action lookup) => _lookups.Add(lookup);

    /// <summary><c>/metrics</c>.</summary>
    public async ValueTask<TelemetryAnswer> AnswerAsync(TelemetryRequest request)
    {
        // Off the thread that has the request: it may be one that serves clients as well, and a scrape takes milliseconds.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        return new TelemetryAnswer(200, TextFormat, await WriteAsync().ConfigureAwait(false));
    }

    /// <summary>The text of this moment.</summary>
    public async Task<ReadOnlyMemory<byte>> WriteAsync()
    {
        await _oneAtATime.WaitAsync().ConfigureAwait(false);
        try
        {
            // Of a scrape that failed rows may be left.
            foreach (var rows in _rows) rows.MoveTo(Stream.Null);
            foreach (var lookup in _lookups) lookup();
            // Of a size at once: each doubling would be a large object more.
            using var text = new MemoryStream(_lastLength + _lastLength / 8);
            await _registry.CollectAndExportAsTextAsync(text).ConfigureAwait(false);
            foreach (var rows in _rows) rows.MoveTo(text);
            _lastLength = (int)text.Length;
            return text.GetBuffer().AsMemory(0, (int)text.Length);
        }
        finally
        {
            _oneAtATime.Release();
        }
    }
}
