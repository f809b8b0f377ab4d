using System.Diagnostics.CodeAnalysis;

namespace Millau.Discovery;

/// <summary>
/// Says of Swarm services what they are found to be. A finding is the same object for as long as all that it was made of is: so
/// whoever reads findings may pass over what did not change. One user: the loop of <see cref="SwarmWatcher"/>.
/// </summary>
internal sealed class SwarmFindings
{
    private readonly Dictionary<string, Finding> _findings = [];

    /// <summary>What a finding is made of, besides what is known of the containers of its tasks. Compared by identity.</summary>
    /// <param name="Tasks">In force for the service; never changed.</param>
    /// <param name="IsRemoved">The service was deleted.</param>
    /// <param name="IsAwaited">Its tasks are to appear at any moment.</param>
    internal readonly record struct Source(string Id, ServiceModel Service, List<TaskModel> Tasks, bool IsRemoved, bool IsAwaited)
    {
        public bool IsSame(in Source other) =>
            ReferenceEquals(Service, other.Service) && ReferenceEquals(Tasks, other.Tasks)
            && IsRemoved == other.IsRemoved && IsAwaited == other.IsAwaited;
    }

    /// <param name="Containers">Those of this Engine, by the place of their instances in <paramref name="Found"/>.</param>
    private sealed record Finding(Source Source, FoundService Found, ContainerModel?[] Containers);

    /// <param name="source">The service and its tasks.</param>
    /// <param name="containers">Those of this Engine, which know more of tasks than the tasks themselves.</param>
    public FoundService Of(in Source source, ContainerWatcher containers)
    {
        if (IsCurrent(source, containers, out var finding))
            return finding.Found;
        finding = Make(source, containers);
        _findings[source.Id] = finding;
        return finding.Found;
    }

    /// <summary>Forgets all others.</summary>
    public void Keep(Func<string, bool> isKnown)
    {
        foreach (var id in _findings.Keys)
        {
            if (!isKnown(id))
                _findings.Remove(id);
        }
    }

    private bool IsCurrent(in Source source, ContainerWatcher containers, [NotNullWhen(true)] out Finding? finding)
    {
        if (!_findings.TryGetValue(source.Id, out finding) || !finding.Source.IsSame(source))
            return false;
        var instances = finding.Found.Instances;
        for (var i = 0; i < instances.Length; i++)
        {
            if (!ReferenceEquals(finding.Containers[i], containers.Find(instances[i].ContainerId)))
                return false;
        }

        return true;
    }

    private static Finding Make(in Source source, ContainerWatcher containers)
    {
        var (service, tasks, isRemoved) = (source.Service, source.Tasks, source.IsRemoved);
        var instances = SwarmModel.Instances(service, tasks, isRemoved, containers.AddressesOf);
        var found = new FoundService
        {
            Origin = ServiceOrigin.Swarm,
            Name = SwarmModel.NameOf(service),
            Labels = SwarmModel.LabelsOf(service),
            Instances = instances,
            IsRemoved = isRemoved,
            IsStarting = !isRemoved && (source.IsAwaited || tasks.Exists(SwarmModel.IsStarting)),
            Notice = SwarmModel.MisplacedLabels(service),
            Wanted = SwarmModel.Wanted(service),
            TaskError = isRemoved ? "" : SwarmModel.TaskError(service, tasks),
            ExposedPorts = [.. instances.SelectMany(i => containers.PortsOf(i.ContainerId))
                .Concat(SwarmModel.TargetPorts(service)).Distinct().Order()],
        };
        return new Finding(source, found, [.. instances.Select(i => containers.Find(i.ContainerId))]);
    }
}
