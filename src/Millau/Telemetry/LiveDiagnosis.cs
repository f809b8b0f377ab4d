using System.Net.Sockets;
using Millau.Discovery;
using Millau.Upstreams;

namespace Millau.Telemetry;

/// <summary>What is wrong with the instances of a routed service, as connections to them showed; with what to change.</summary>
internal static class LiveDiagnosis
{
    /// <summary>Problems of one service, in no order.</summary>
    /// <param name="seen">The service as Docker shows it.</param>
    /// <param name="instances">Its instances, each with its state.</param>
    public static IEnumerable<Problem> Of(SeenService seen, IReadOnlyList<(UpstreamInstance Instance, string State)> instances)
    {
        var severity = instances.Any(i => i.State == InstanceStates.Ready) ? ProblemSeverity.Warning : ProblemSeverity.Error;
        // A port that is shut for a moment after the start is as it should be.
        foreach (var same in instances
                     .Where(i => i.State is InstanceStates.Refusing or InstanceStates.Starting
                         && i.Instance.ProbeError != SocketError.Success && i.Instance.StartedFor > ProbePatience)
                     .GroupBy(i => i.Instance.ProbeError))
        {
            yield return OfPort(seen, severity, same.Key, [.. same.Select(i => i.Instance)]);
        }

        var leftOut = instances.Where(i => i.State == InstanceStates.LeftOut).Select(i => i.Instance.Name).ToList();
        if (leftOut.Count > 0)
            yield return new Problem("left-out", severity,
                $"{leftOut.Count} of {instances.Count} instances failed and {(leftOut.Count == 1 ? "is" : "are")} left out "
                + $"for millau.retry: {string.Join(", ", leftOut)}.",
                "Look at what it did last (its row says), and at its log.");
    }

    /// <summary>How long a port may be shut after the start before it is a problem.</summary>
    private static readonly TimeSpan ProbePatience = TimeSpan.FromSeconds(5);

    private static Problem OfPort(
        SeenService seen, ProblemSeverity severity, SocketError error, UpstreamInstance[] instances)
    {
        var one = instances[0];
        var which = instances.Length == 1 ? one.Name : $"{one.Name} and {instances.Length - 1} more";
        if (error != SocketError.ConnectionRefused)
            return new("port-unreachable", severity,
                $"{which} runs, but {one.EndPoint} cannot be connected to{InstanceStates.Error(one)}.",
                "Check the network between the nodes (overlay networks need 7946/tcp+udp and 4789/udp), and firewalls in the container.");

        var others = seen.ExposedPorts.Where(p => p != seen.Port).ToList();
        var hint = others.Count == 0 || seen.ExposedPorts.Contains(seen.Port ?? 0)
            ? $"Check millau.port={seen.Port}, and that the app listens on all addresses (0.0.0.0), not on 127.0.0.1 alone."
            : $"The container exposes {string.Join(", ", others)}: is millau.port={others[0]} meant? Else check that the app "
              + "listens on all addresses (0.0.0.0), not on 127.0.0.1 alone.";
        return new("port-refuses", severity, $"{which} runs, but its port {seen.Port} refuses connections.", hint);
    }
}
