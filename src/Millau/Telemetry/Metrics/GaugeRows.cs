using Prometheus;

namespace Millau.Telemetry.Metrics;

/// <summary>
/// The rows of a gauge whose labels come and go, as a service's state does. One thread at a time.
/// </summary>
internal sealed class GaugeRows(Gauge gauge)
{
    private Dictionary<string, Gauge.Child> _rows = new(StringComparer.Ordinal);
    private Dictionary<string, Gauge.Child> _next = new(StringComparer.Ordinal);

    /// <summary>Sets a row.</summary>
    public void Set(double value, params string[] labels)
    {
        var key = string.Join('\0', labels);
        if (!_next.TryGetValue(key, out var row))
            _next.Add(key, row = _rows.GetValueOrDefault(key) ?? gauge.WithLabels(labels));
        row.Set(value);
    }

    /// <summary>All rows are set: those of the time before that were not set again are taken away.</summary>
    public void Done()
    {
        foreach (var (key, row) in _rows)
        {
            if (_next.ContainsKey(key)) continue;
            // The only row of a gauge without labels cannot be taken away, but kept back.
            row.Unpublish();
            if (key.Length > 0) row.Remove();
        }
        (_rows, _next) = (_next, _rows);
        _next.Clear();
    }
}
