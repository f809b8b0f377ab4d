using Millau.Ingress;
using Millau.Transport;
using Prometheus;

namespace Millau.Telemetry.Metrics;

/// <summary>What is counted at one port. Rows of a method appear, with zeros, at its first request.</summary>
internal sealed class ListenerRows(IngressCounters counters, Listener listener)
{
    private readonly MethodRows?[] _methods = new MethodRows?[MethodLabel.Count];
    private readonly Lock _lock = new();
    private readonly LoopCounts _inFlight = new(1);

    /// <summary>The rows of one method.</summary>
    internal sealed record MethodRows(CounterRow Requests, CounterRow RequestBytes, CounterRow ResponseBytes);

    public Listener Listener => listener;

    /// <summary>Requests that have begun and not ended, tunnels included.</summary>
    public long InFlight => Math.Max(0, _inFlight[0]);

    public void Begin() => _inFlight.Add(0);

    /// <inheritdoc cref="LoopCounts.Add(EventLoop?, int, long)"/>
    public void End(EventLoop? loop) => _inFlight.Add(loop, 0, -1);

    /// <summary>Before the text is made; one thread at a time.</summary>
    public void HandOver()
    {
        for (var method = 0; method < _methods.Length; method++)
        {
            if (Volatile.Read(ref _methods[method]) is not { } rows) continue;
            rows.Requests.HandOver();
            rows.RequestBytes.HandOver();
            rows.ResponseBytes.HandOver();
        }
    }

    public MethodRows Of(int method) => Volatile.Read(ref _methods[method]) ?? Add(method);

    private MethodRows Add(int method)
    {
        lock (_lock)
        {
            return _methods[method] ??= new MethodRows(
                Row(counters.Requests, method), Row(counters.RequestBytes, method), Row(counters.ResponseBytes, method));
        }
    }

    private CounterRow Row(Counter counter, int method) =>
        new(counter.WithLabels(MethodLabel.Name(method), listener.Port, listener.Protocol));
}

/// <summary>The metrics of ports.</summary>
internal sealed class IngressCounters(MetricsRegistry metrics)
{
    private static readonly string[] Labels = ["method", "port", "protocol"];

    public Counter Requests { get; } = metrics.Counter(
        "millau_ingress_requests_total", "Requests, counted when they end; a tunnel when it begins.", Labels);

    public Counter RequestBytes { get; } = metrics.Counter(
        "millau_ingress_requests_bytes_total", "Bytes of request bodies read from clients.", Labels);

    public Counter ResponseBytes { get; } = metrics.Counter(
        "millau_ingress_responses_bytes_total", "Bytes of response bodies of instances given to clients.", Labels);
}
