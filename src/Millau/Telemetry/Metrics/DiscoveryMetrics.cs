using Millau.Discovery;
using Prometheus;

namespace Millau.Telemetry.Metrics;

/// <summary>How Docker is watched.</summary>
internal static class DiscoveryMetrics
{
    public static void Add(MetricsRegistry metrics, DockerDiscovery discovery, TimeProvider time)
    {
        var reachable = metrics.Gauge("millau_discovery_up", "1: the Engine answers and was read at least once.");
        // No row before the first good read: its age is not 0.
        var age = metrics.Rows("millau_discovery_last_good_read_age_seconds", "Since everything was last read without an error.");
        var events = metrics.Counter("millau_discovery_events_total", "Events of the Engine, by the type of what they are about.", "type");
        var reads = metrics.Counter("millau_discovery_reads_total", "Reads of the lists of services and tasks, or containers.", "what");
        var errors = metrics.Counter("millau_discovery_errors_total", "Calls to the Engine that failed, and connections lost.", "reason");
        foreach (var type in DiscoveryTally.EventTypes) events.WithLabels(type);
        foreach (var reason in Enum.GetValues<EngineFaultKind>()) errors.WithLabels(Name(reason));

        metrics.BeforeScrape(() =>
        {
            var health = discovery.Health;
            reachable.Set(health.IsReachable ? 1 : 0);
            if (health.LastRead is { } read) age.Set(Math.Max(0, (time.GetUtcNow() - read).TotalSeconds));
            var tally = discovery.Tally;
            foreach (var type in DiscoveryTally.EventTypes) events.WithLabels(type).IncTo(tally.Events(type));
            reads.WithLabels("swarm").IncTo(tally.SwarmReads);
            reads.WithLabels("containers").IncTo(tally.ContainerReads);
            foreach (var reason in Enum.GetValues<EngineFaultKind>()) errors.WithLabels(Name(reason)).IncTo(tally.Errors(reason));
        });
    }

    private static string Name(EngineFaultKind reason) => reason switch
    {
        EngineFaultKind.Unreachable => "unreachable",
        EngineFaultKind.TimedOut => "timed_out",
        EngineFaultKind.Forbidden => "forbidden",
        EngineFaultKind.NotFound => "not_found",
        EngineFaultKind.NoSwarm => "no_swarm",
        EngineFaultKind.NoManager => "no_manager",
        EngineFaultKind.WrongVersion => "wrong_version",
        EngineFaultKind.BadBody => "bad_body",
        _ => "failed",
    };
}
