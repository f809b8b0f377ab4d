using Prometheus;

namespace Millau.Telemetry.Metrics;

/// <summary>The metrics of services.</summary>
internal sealed class ServiceCounters(MetricsRegistry metrics)
{
    // The bounds 0.3 and 1.2 are those of the service level objectives on the dashboard.
    private static readonly double[] Buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.6, 1.2, 2.5, 5, 10, 30];

    /// <summary>The same in ticks.</summary>
    public static readonly long[] Bounds = [.. Buckets.Select(static b => TimeSpan.FromSeconds(b).Ticks)];

    private static readonly string[] MethodService = ["method", "service"];

    public Counter Successful { get; } = metrics.Counter(
        "millau_lb_successful_requests_total", "Requests that an instance answered, with whatever code.", "code", "method", "service");

    public Counter Failed { get; } = metrics.Counter(
        "millau_lb_failed_requests_total", "Requests that matched, but that no instance answered.", MethodService);

    public Counter Aborted { get; } = metrics.Counter(
        "millau_lb_aborted_requests_total", "Requests that matched, and whose client went or broke its body before an answer.", MethodService);

    public Counter RequestBytes { get; } = metrics.Counter(
        "millau_lb_requests_bytes_total", "Bytes of request bodies read for the service.", MethodService);

    public Counter ResponseBytes { get; } = metrics.Counter(
        "millau_lb_responses_bytes_total", "Bytes of response bodies of the service given to clients.", MethodService);

    public Counter Retries { get; } = metrics.Counter(
        "millau_lb_retries_total", "Further attempts of requests at another instance, by the service that got them.", MethodService);

    public Histogram Duration { get; } = metrics.Histogram(
        "millau_lb_request_duration_seconds", "From the head of a request to the end of its answer; of a tunnel, to its beginning.",
        Buckets, MethodService);

    public Counter Attempts { get; } = metrics.Counter(
        "millau_lb_attempts_total", "Attempts at instances, by how they ended.", "outcome", "service");

    public Counter PutAside { get; } = metrics.Counter(
        "millau_lb_put_aside_total", "Instances left out for their retry period, by the failure that was the reason.", "reason", "service");

    public Counter Topology { get; } = metrics.Counter(
        "millau_topology_requests_total", "Requests from a port to a service, failed ones too.", "id", "source", "target");
}
