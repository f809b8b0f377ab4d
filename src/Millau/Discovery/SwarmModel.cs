using System.Collections.Immutable;
using System.Net;

namespace Millau.Discovery;

/// <summary>What services and tasks mean. Pure: no state, no clock.</summary>
internal static class SwarmModel
{
    private const string Running = "running";

    public static string NameOf(ServiceModel service) => service.Spec?.Name ?? service.Id ?? "";

    public static IEnumerable<KeyValuePair<string, string?>> LabelsOf(ServiceModel service) =>
        service.Spec?.Labels ?? [];

    /// <summary>Whether anybody will ask for the tasks of the service.</summary>
    public static bool HasMillauLabels(ServiceModel service) => LabelsOf(service).Any(l => ServiceLabels.IsMillau(l.Key));

    /// <summary>Labels that were meant for the service but given to its containers; the Swarm does not read them.</summary>
    public static string MisplacedLabels(ServiceModel service)
    {
        var names = (service.Spec?.TaskTemplate?.ContainerSpec?.Labels ?? [])
            .Select(l => l.Key).Where(ServiceLabels.IsMillau).Order(StringComparer.Ordinal).ToList();
        return names.Count == 0
            ? ""
            : $"{string.Join(", ", names)}: set on the containers, allowed under the service's deploy.labels";
    }

    public static bool IsUpdating(ServiceModel service) =>
        service.UpdateStatus?.State is "updating" or "rollback_started";

    /// <summary>How many tasks are meant to run; null in global mode, where that is the nodes' number.</summary>
    public static ulong? Wanted(ServiceModel service) => service.Spec?.Mode?.Replicated is { } replicated
        ? replicated.Replicas ?? 0
        : null;

    /// <summary>Why fewer run than are meant to, in Docker's words; empty if as many run.</summary>
    public static string TaskError(ServiceModel service, IReadOnlyList<TaskModel> tasks)
    {
        var running = (ulong)tasks.Count(t => IsWanted(t) && IsRunning(t));
        if (running > 0 && running >= Wanted(service))
            return "";
        // A task that waits for a node tells of now, a failed one of what was.
        return tasks.Where(t => ErrorOf(t).Length > 0)
            .OrderByDescending(t => IsWanted(t) && IsBeforeRunning(t))
            .ThenByDescending(t => t.Status!.Timestamp, StringComparer.Ordinal)
            .Select(ErrorOf).FirstOrDefault("");
    }

    /// <summary>An app that takes SIGTERM well ends without an error, though it was stopped because it is unhealthy.</summary>
    private static string ErrorOf(TaskModel task) => task.Status switch
    {
        { Err: { Length: > 0 } error } => error,
        { State: "complete" } => "task complete: it ended with exit code 0, by itself or because its health check failed",
        _ => "",
    };

    /// <summary>The TCP ports that the service publishes, as its containers see them.</summary>
    public static IEnumerable<int> TargetPorts(ServiceModel service) =>
        (service.Endpoint?.Ports ?? []).Where(p => p is { Protocol: "tcp", TargetPort: > 0 }).Select(p => p!.TargetPort);

    /// <summary>The ports that the service publishes through the mesh, which hides the addresses of clients.</summary>
    public static IEnumerable<int> MeshPorts(ServiceModel service, ImmutableArray<int> targets) =>
        (service.Endpoint?.Ports ?? [])
        .Where(p => p is { PublishMode: "ingress", PublishedPort: > 0 } && targets.Contains(p.TargetPort))
        .Select(p => p!.PublishedPort).Distinct().Order();

    public static bool IsRunning(TaskModel task) => task.Status?.State == Running;

    /// <summary>Meant to run: <c>ready</c> is a replacement that waits for its turn.</summary>
    public static bool IsWanted(TaskModel task) => task.DesiredState is Running or "ready";

    /// <summary>Before or in <c>running</c>; all later states are final.</summary>
    public static bool IsAlive(TaskModel task) => IsRunning(task) || IsBeforeRunning(task);

    /// <summary>On its way up. A pending task with an error has no node to run on, and may never have one.</summary>
    public static bool IsStarting(TaskModel task) =>
        IsWanted(task) && IsBeforeRunning(task)
        && (task.Status!.State != "pending" || string.IsNullOrEmpty(task.Status.Err));

    /// <summary>Nothing is on its way up or down.</summary>
    public static bool IsSettled(ServiceModel service, IReadOnlyList<TaskModel> tasks)
    {
        if (IsUpdating(service))
            return false;
        var up = 0ul;
        foreach (var task in tasks)
        {
            var wanted = IsWanted(task);
            if (wanted ? !IsRunning(task) : IsAlive(task))
                return false;
            if (wanted)
                up++;
        }

        return Wanted(service) is not { } expected || up >= expected;
    }

    /// <summary>The tasks that serve or still serve. A task of a removed service is on its way out, whatever it says.</summary>
    public static ImmutableArray<FoundInstance> Instances(
        ServiceModel service,
        IReadOnlyList<TaskModel> tasks,
        bool isRemoved,
        Func<string, ImmutableArray<NetworkAddress>> addressesOfContainer)
    {
        var result = ImmutableArray.CreateBuilder<FoundInstance>(tasks.Count);
        foreach (var task in tasks)
        {
            if (!IsRunning(task))
                continue;
            var containerId = task.Status?.ContainerStatus?.ContainerId ?? "";
            result.Add(new FoundInstance(
                task.Id!,
                NameOf(service, task),
                containerId,
                task.DesiredState == Running && !isRemoved ? InstancePhase.Running : InstancePhase.Stopping,
                [.. AddressesOf(task), .. addressesOfContainer(containerId)]));
        }

        return result.ToImmutable();
    }

    /// <summary>As Docker names the container of a task: service, slot (or node of a global one), task id.</summary>
    private static string NameOf(ServiceModel service, TaskModel task) =>
        $"{NameOf(service)}.{(task.Slot > 0 ? task.Slot.ToString() : task.NodeId)}.{task.Id}";

    private static IEnumerable<NetworkAddress> AddressesOf(TaskModel task)
    {
        foreach (var attachment in task.NetworksAttachments ?? [])
        {
            // The mesh of published ports is on every such task, but nothing is served there.
            if (attachment?.Network is not { Id: { Length: > 0 } id } network || network.Spec?.Ingress == true)
                continue;
            foreach (var text in attachment.Addresses ?? [])
            {
                var slash = text?.IndexOf('/') ?? -1;
                if (IPAddress.TryParse(slash < 0 ? text : text![..slash], out var address))
                    yield return new NetworkAddress(id, network.Spec?.Name ?? id, address);
            }
        }
    }

    private static bool IsBeforeRunning(TaskModel task) => task.Status?.State
        is "new" or "allocated" or "pending" or "assigned" or "accepted" or "preparing" or "ready" or "starting";
}
