using Millau.Ingress;
using Prometheus;

namespace Millau.Telemetry.Metrics;

/// <summary>What is counted at one port. Rows of a method appear, with zeros, at its first request.</summary>
internal sealed class ListenerRows(IngressCounters counters, Listener listener)
{
    private readonly MethodRows?[] _methods = new MethodRows?[MethodLabel.Count];
    private readonly Lock _lock = new();
    private int _inFlight;

    /// <summary>The rows of one method.</summary>
    internal sealed record MethodRows(Counter.Child Requests, Counter.Child RequestBytes, Counter.Child ResponseBytes);

    public Listener Listener => listener;

    /// <summary>Requests that have begun and not ended, tunnels included.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    public void Begin() => Interlocked.Increment(ref _inFlight);

    public void End() => Interlocked.Decrement(ref _inFlight);

    public MethodRows Of(int method) => Volatile.Read(ref _methods[method]) ?? Add(method);

    private MethodRows Add(int method)
    {
        lock (_lock)
        {
            return _methods[method] ??= new MethodRows(
                counters.Requests.WithLabels(MethodLabel.Name(method), listener.Port, listener.Protocol),
                counters.RequestBytes.WithLabels(MethodLabel.Name(method), listener.Port, listener.Protocol),
                counters.ResponseBytes.WithLabels(MethodLabel.Name(method), listener.Port, listener.Protocol));
        }
    }
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
