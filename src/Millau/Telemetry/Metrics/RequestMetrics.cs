using System.Collections.Concurrent;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Transport;
using Millau.Upstreams;
using Prometheus;

namespace Millau.Telemetry.Metrics;

/// <summary>
/// Counts requests by port, method and service. A request is counted when it ends, because only then its code and its
/// bytes are known; a tunnel, which may last for days, when it begins, and its bytes as they pass.
/// </summary>
/// <remarks>
/// Labels are bounded whatever clients send: methods by <see cref="MethodLabel"/>, services by the catalog, codes by
/// <see cref="ServiceRows"/>. No look-up of labels on a request's way: rows are kept, and found by place or with the service.
/// </remarks>
internal sealed class RequestMetrics : IRequestObserver
{
    private readonly IngressCounters _ingressCounters;
    private readonly ServiceCounters _serviceCounters;
    private readonly ListenerRows[] _listeners;
    private readonly CounterRow _reusedConnections;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<RequestOutcome, Tunnelled> _tunnels = new();
    private readonly ConcurrentDictionary<string, ServiceRows> _services = new(StringComparer.Ordinal);

    /// <summary>What a tunnel's counters have already.</summary>
    private sealed record Tunnelled(
        ListenerRows.MethodRows Ingress, ServiceRows.MethodRows? Service, Lock Lock)
    {
        public long RequestBytes { get; set; }
        public long ResponseBytes { get; set; }
        public bool HasEnded { get; set; }
    }

    /// <param name="listeners">All there will be.</param>
    public RequestMetrics(MetricsRegistry metrics, TimeProvider time, params Listener[] listeners)
    {
        _time = time;
        _ingressCounters = new IngressCounters(metrics);
        _serviceCounters = new ServiceCounters(metrics);
        _reusedConnections = new CounterRow(metrics.Counter(
            "millau_upstream_connections_reused_total", "Attempts on a connection that had carried a request before.").WithLabels());
        _listeners = [.. listeners.Select(l => new ListenerRows(_ingressCounters, l))];
        var open = metrics.Rows("millau_ingress_open_connections", "Connections of clients that are open.", "port", "protocol");
        var inFlight = metrics.Rows(
            "millau_ingress_requests_in_flight", "Requests that have begun and not ended, tunnels included.", "port", "protocol");
        metrics.BeforeScrape(() =>
        {
            foreach (var (outcome, tunnel) in _tunnels) CountTunnelled(outcome, tunnel, ends: false);
            foreach (var (_, rows) in _services) rows.HandOver();
            _reusedConnections.HandOver();
            // A port that the system is to choose has no name before.
            foreach (var rows in _listeners)
            {
                rows.HandOver();
                if (rows.Listener.Port.Length == 0) continue;
                open.Set(rows.Listener.OpenConnections, rows.Listener.Port, rows.Listener.Protocol);
                inFlight.Set(rows.InFlight, rows.Listener.Port, rows.Listener.Protocol);
            }
        });
    }

    /// <summary>Takes over which services are known; the rows of others go. Before they get requests; one caller at a time.</summary>
    public void Apply(ServiceCatalog catalog)
    {
        foreach (var service in catalog.Services)
            if (!_services.ContainsKey(service.Name)) _services[service.Name] = new ServiceRows(_serviceCounters, service.Name);
        if (_services.Count == catalog.Services.Length) return;
        var known = catalog.Services.Select(static s => s.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var name in _services.Keys)
            if (!known.Contains(name) && _services.TryRemove(name, out var rows)) rows.Remove();
    }

    public void RequestStarted(RequestContext context) => Find(context.Outcome.Listener)?.Begin();

    public void AttemptStarted(RequestContext context)
    {
        if (context.Outcome.IsRetry && Find(context.Outcome.Service) is { } service)
            service.Of(MethodLabel.Index(context.Exchange.Method)).Retries.Inc();
    }

    public void AttemptAnswered(RequestContext context)
    {
        var outcome = context.Outcome;
        CountAttempt(context, OutcomeLabel.Answered);
        if (outcome.IsTunnel) BeginTunnel(context);
    }

    public void AttemptEnded(RequestContext context, AttemptFailure failure)
    {
        if (failure == AttemptFailure.None) return;
        CountAttempt(context, context.IsAbandoned ? OutcomeLabel.Aborted : (int)failure);
    }

    public void InstanceLeftOut(UpstreamInstance instance, AttemptFailure failure) =>
        Find(instance.Service)?.PutAside(failure).Inc();

    public void RequestEnded(RequestContext context)
    {
        var outcome = context.Outcome;
        if (Find(outcome.Listener) is not { } listener) return;
        var loop = EventLoop.Current;
        listener.End(loop);
        if (outcome.IsTunnel)
        {
            if (_tunnels.TryRemove(outcome, out var tunnel)) CountTunnelled(outcome, tunnel, ends: true);
            return;
        }
        var method = MethodLabel.Index(context.Exchange.Method);
        var ingress = listener.Of(method);
        ingress.Requests.Inc(loop);
        if (outcome.RequestBytes > 0) ingress.RequestBytes.Inc(loop, outcome.RequestBytes);
        // Millau's own line of text is no body of an instance.
        if (outcome.IsAnswered && outcome.ResponseBytes > 0) ingress.ResponseBytes.Inc(loop, outcome.ResponseBytes);
        if (Find(outcome.Service) is not { } service) return;

        service.From(outcome.Listener).Inc(loop);
        var rows = service.Of(method);
        if (outcome.RequestBytes > 0) rows.RequestBytes.Inc(loop, outcome.RequestBytes);
        if (outcome.IsAnswered)
        {
            rows.Successful(outcome.InstanceStatus).Inc(loop);
            rows.Duration.Observe(loop, _time.GetElapsedTime(outcome.Started, outcome.Ended));
            if (outcome.ResponseBytes > 0) rows.ResponseBytes.Inc(loop, outcome.ResponseBytes);
        }
        else if (context.IsAbandoned)
        {
            rows.Aborted.Inc();
        }
        else
        {
            rows.Failed.Inc();
        }
    }

    private void CountAttempt(RequestContext context, int outcome)
    {
        var loop = EventLoop.Current;
        Find(context.Outcome.Service)?.Attempts(outcome).Inc(loop);
        if (context.IsConnectionReused) _reusedConnections.Inc(loop);
    }

    private void BeginTunnel(RequestContext context)
    {
        var outcome = context.Outcome;
        if (Find(outcome.Listener) is not { } listener) return;
        var method = MethodLabel.Index(context.Exchange.Method);
        var ingress = listener.Of(method);
        ingress.Requests.Inc();
        var rows = Find(outcome.Service)?.Of(method);
        Find(outcome.Service)?.From(outcome.Listener).Inc();
        rows?.Successful(outcome.InstanceStatus).Inc();
        rows?.Duration.Observe(EventLoop.Current, _time.GetElapsedTime(outcome.Started, outcome.Answered));
        _tunnels[outcome] = new Tunnelled(ingress, rows, new Lock());
    }

    // A scrape and the end of the tunnel may meet here; after its end the outcome may be that of another request.
    private static void CountTunnelled(RequestOutcome outcome, Tunnelled tunnel, bool ends)
    {
        lock (tunnel.Lock)
        {
            if (tunnel.HasEnded) return;
            tunnel.HasEnded = ends;
            var (request, response) = (outcome.RequestBytes - tunnel.RequestBytes, outcome.ResponseBytes - tunnel.ResponseBytes);
            tunnel.RequestBytes += request;
            tunnel.ResponseBytes += response;
            tunnel.Ingress.RequestBytes.Inc(request);
            tunnel.Ingress.ResponseBytes.Inc(response);
            tunnel.Service?.RequestBytes.Inc(request);
            tunnel.Service?.ResponseBytes.Inc(response);
        }
    }

    private ListenerRows? Find(Listener listener)
    {
        foreach (var rows in _listeners)
            if (ReferenceEquals(rows.Listener, listener)) return rows;
        return null;
    }

    // Each request asks, so the answer is left where the next one has it at hand.
    private ServiceRows? Find(UpstreamService? service) =>
        service is null ? null : service.Counted is ServiceRows { IsRemoved: false } rows ? rows : LookUp(service);

    private ServiceRows? LookUp(UpstreamService service)
    {
        var rows = _services.GetValueOrDefault(service.Name);
        service.Counted = rows;
        return rows;
    }
}
