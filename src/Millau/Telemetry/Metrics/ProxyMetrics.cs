using Millau.Discovery;
using Millau.Ingress;
using Millau.Upstreams;

namespace Millau.Telemetry.Metrics;

/// <summary>The state of ports, services and connections, looked up at each scrape.</summary>
internal static class ProxyMetrics
{
    private const string Up = "up";
    private const string Down = "down";

    private static readonly string[] States = ["ready", "starting", "put_aside", "not_accepting", "stopping"];

    public static void Add(
        MetricsRegistry metrics, UpstreamRegistry upstreams, UpstreamHeartbeat connections, Func<int> waiting,
        params Listener[] listeners)
    {
        var build = metrics.Gauge("millau_build_info", "1; the version is in the label.", "version");
        build.WithLabels(Product.Version).Set(1);
        var status = metrics.Rows("millau_lb_status", "1: the service can take requests; 0: it is known, but down.", "service");
        var instances = metrics.Rows(
            "millau_lb_instances", "Instances by state: ready, starting, put_aside, not_accepting, stopping.", "service", "state");
        var inFlight = metrics.Rows(
            "millau_lb_requests_in_flight", "Attempts that are under way, answers that are still relayed included.", "service");
        var topology = metrics.Rows("millau_topology_status", "1 for each port and each service; the state is in mainstat.",
            "id", "mainstat", "title");
        var open = metrics.Rows(
            "millau_upstream_connections", "Connections to instances: active ones carry a request, idle ones wait for one.", "state");
        var opened = metrics.Counter(
            "millau_upstream_connections_opened_total", "Connections to instances that were begun, those that only ask whether it listens included.");
        var parked = metrics.Gauge("millau_lb_parked_requests", "Requests that wait for an instance on its way up.");

        metrics.BeforeScrape(() =>
        {
            foreach (var listener in listeners)
            {
                if (listener.Port.Length > 0)
                    topology.Set(1, listener.Port, listener.IsOpen ? Up : Down, listener.Port);
            }
            var idle = 0;
            Span<int> counts = stackalloc int[States.Length];
            foreach (var service in upstreams.Services)
            {
                var isUp = false;
                var current = 0;
                foreach (var instance in service.Instances)
                {
                    isUp |= instance.IsReady || instance.IsLastResort || instance.IsClosing;
                    current += instance.Tally.InFlight;
                    idle += instance.Pool.Count;
                }
                status.Set(isUp ? 1 : 0, service.Name);
                inFlight.Set(current, service.Name);
                topology.Set(1, service.Name, isUp ? Up : Down, service.Name);
                counts.Clear();
                foreach (var instance in service.Instances) counts[State(instance)]++;
                for (var state = 0; state < counts.Length; state++)
                {
                    // The first always, so that a service with none is found by asking for 0.
                    if (counts[state] > 0 || state == 0) instances.Set(counts[state], service.Name, States[state]);
                }
            }
            open.Set(Math.Max(0, connections.OpenConnections - idle), "active");
            open.Set(idle, "idle");
            opened.IncTo(connections.OpenedConnections);
            parked.Set(waiting());
        });
    }

    /// <summary>Its place in <see cref="States"/>.</summary>
    private static int State(UpstreamInstance instance) => instance switch
    {
        { Phase: not InstancePhase.Running } => 4,
        { IsLeftOut: true } => 2,
        { IsAccepting: true } => 0,
        { IsStarting: true } => 1,
        _ => 3,
    };
}
