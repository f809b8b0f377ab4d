using System.Buffers;
using System.Collections.Immutable;
using System.Net;

namespace Millau.Discovery;

/// <summary>What containers that are no Swarm tasks mean: plain Docker and Compose. Pure: no state, no clock.</summary>
internal static class PlainModel
{
    private const string SwarmTask = "com.docker.swarm.task.id";
    private const string ComposeService = "com.docker.compose.service";
    private const int LongestName = 128;

    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

    private enum Health
    {
        None,
        Starting,
        Healthy,
        Unhealthy,
    }

    /// <summary>Counted as a task, so never as a container as well.</summary>
    public static bool IsSwarmTask(IReadOnlyDictionary<string, string?>? labels) => labels?.ContainsKey(SwarmTask) == true;

    /// <summary>Running and, as far as it has a health check, healthy.</summary>
    public static bool IsServing(ContainerModel container) =>
        container.State == "running" && HealthOf(container) is (Health.None or Health.Healthy);

    /// <summary>Containers with one service name are the instances of one service.</summary>
    public static IEnumerable<FoundService> Services(IEnumerable<ContainerModel> containers) =>
        containers.Where(c => !IsSwarmTask(c.Labels)).GroupBy(ServiceName).Select(ToService);

    public static ImmutableArray<NetworkAddress> AddressesOf(ContainerModel container)
    {
        var result = ImmutableArray.CreateBuilder<NetworkAddress>();
        foreach (var (name, network) in container.NetworkSettings?.Networks ?? [])
        {
            if (network?.NetworkId is not { Length: > 0 } id)
                continue;
            if (IPAddress.TryParse(network.IPv4, out var v4))
                result.Add(new NetworkAddress(id, name, v4));
            if (IPAddress.TryParse(network.IPv6, out var v6))
                result.Add(new NetworkAddress(id, name, v6));
        }

        return result.ToImmutable();
    }

    public static IEnumerable<int> PortsOf(ContainerModel container) =>
        (container.Ports ?? []).Where(p => p is { Type: "tcp", PrivatePort: > 0 }).Select(p => p!.PrivatePort).Distinct();

    private static FoundService ToService(IGrouping<string, ContainerModel> group)
    {
        // Those that run decide; a stopped one of a former deployment has no say while there are any.
        var running = group.Where(c => c.State == "running").ToList();
        var deciding = (running.Count > 0 ? running : [.. group])
            .OrderByDescending(c => c.Created).ThenBy(c => c.Id, StringComparer.Ordinal).ToList();
        var labels = MillauLabels(deciding[0]);
        var others = deciding.Skip(1).Where(c => !MillauLabels(c).SequenceEqual(labels)).ToList();
        return new FoundService
        {
            Origin = ServiceOrigin.Containers,
            Name = group.Key,
            Labels = labels,
            Instances = [.. running.Where(c => HealthOf(c) != Health.Starting).Select(ToInstance)],
            IsStarting = group.Any(c => c.State == "restarting" || (c.State == "running" && HealthOf(c) == Health.Starting)),
            ExposedPorts = [.. deciding.SelectMany(PortsOf).Distinct().Order()],
            Notice = others.Count == 0
                ? ""
                : $"millau labels of {string.Join(", ", others.Select(ContainerName))} differ from those of the newest "
                  + $"container {ContainerName(deciding[0])}, which hold for all: "
                  + $"{Difference(MillauLabels(others[0]), labels)}; allowed are the same on each",
        };
    }

    private static FoundInstance ToInstance(ContainerModel container) => new(
        container.Id!,
        ContainerName(container),
        container.Id!,
        HealthOf(container) == Health.Unhealthy ? InstancePhase.Stopping : InstancePhase.Running,
        AddressesOf(container),
        container.HostConfig?.NetworkMode == "host")
    {
        IsUnhealthy = HealthOf(container) == Health.Unhealthy,
    };

    private static List<KeyValuePair<string, string?>> MillauLabels(ContainerModel container) =>
        [.. (container.Labels ?? []).Where(l => ServiceLabels.IsMillau(l.Key)).OrderBy(l => l.Key, StringComparer.Ordinal)];

    /// <summary>The labels that differ, as <c>name="theirs" there, "ours" here</c>. Values of certificates and keys stay unsaid.</summary>
    private static string Difference(
        List<KeyValuePair<string, string?>> theirs, List<KeyValuePair<string, string?>> ours) =>
        string.Join(", ", theirs.Except(ours).Concat(ours.Except(theirs)).Select(l => l.Key).Distinct().Select(name =>
            IsSecret(theirs, name) || IsSecret(ours, name)
                ? name
                : $"{name}={Value(theirs, name)} there, {Value(ours, name)} here"));

    private static string Value(List<KeyValuePair<string, string?>> labels, string name) =>
        labels.Exists(l => l.Key == name) ? $"\"{labels.Find(l => l.Key == name).Value}\"" : "unset";

    private static bool IsSecret(List<KeyValuePair<string, string?>> labels, string name) =>
        LabelSecrets.IsSecret(name, labels.Find(l => l.Key == name).Value ?? "");

    private static string ServiceName(ContainerModel container) =>
        container.Labels?.GetValueOrDefault(ComposeService) is { } name && IsName(name) ? name : ContainerName(container);

    /// <summary>
    /// As Compose allows it, and bounded. It is a label that anybody can write, and names rows of metrics; what Compose would
    /// not have written means nothing.
    /// </summary>
    private static bool IsName(string name) =>
        name.Length is > 0 and <= LongestName && !name.AsSpan().ContainsAnyExcept(NameCharacters);

    /// <summary>A linked container has several; its own is the one without a further slash.</summary>
    private static string ContainerName(ContainerModel container)
    {
        var name = container.Names?.FirstOrDefault(n => n?.LastIndexOf('/') == 0) ?? container.Names?.FirstOrDefault();
        return string.IsNullOrEmpty(name) ? container.Id! : name.TrimStart('/');
    }

    /// <summary>From a field of its own in newer Engines, else from <c>Up 2 minutes (healthy)</c>.</summary>
    private static Health HealthOf(ContainerModel container)
    {
        var status = container.Status ?? "";
        return container.Health?.Status switch
        {
            "healthy" => Health.Healthy,
            "unhealthy" => Health.Unhealthy,
            "starting" => Health.Starting,
            "none" => Health.None,
            _ when status.Contains("(unhealthy)", StringComparison.Ordinal) => Health.Unhealthy,
            _ when status.Contains("(healthy)", StringComparison.Ordinal) => Health.Healthy,
            _ when status.Contains("(health: starting)", StringComparison.Ordinal) => Health.Starting,
            _ => Health.None,
        };
    }
}
