using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace Millau.Discovery;

/// <summary>
/// Knows the Swarm's services and their tasks, and when to read them again. Swarm announces changes of services but
/// never those of tasks, so that a service is followed closely after an event, and everything is read slowly always.
/// </summary>
/// <remarks>
/// Threads: all members are called by the one loop of <see cref="DockerDiscovery"/>; only the read that
/// <see cref="TryStart"/> hands out runs beside it, and it touches nothing of this object. One read at a time.
/// </remarks>
internal sealed class SwarmWatcher(EngineClient engine, DiscoveryTiming timing, ILogger log)
{
    /// <summary>With more services than these a filter costs more than the whole list.</summary>
    private const int LongestFilter = 32;

    private static readonly TimeSpan Never = TimeSpan.MaxValue;

    private readonly FollowList _follow = new(timing);
    private readonly EmptyListGuard _emptyServices = new();
    private readonly EmptyListGuard _emptyTasks = new();
    private readonly WatchState _state = new("swarm", timing, log);

    private Dictionary<string, ServiceModel> _services = [];
    private Dictionary<string, List<TaskModel>> _tasks = [];

    /// <summary>Deleted services with tasks that still run, and since when.</summary>
    private readonly Dictionary<string, (ServiceModel Service, TimeSpan Since)> _draining = [];

    private TimeSpan _allDue = TimeSpan.Zero;
    private TimeSpan _servicesDue = Never;
    private TimeSpan _tasksDue = Never;
    private TimeSpan _pausedUntil = TimeSpan.Zero;
    private bool _isReading;

    /// <summary>The lists were read, or it is certain that there are none.</summary>
    public bool HasRead => _state.HasRead;

    /// <summary>Why what is known may be old; null when it is current.</summary>
    public EngineFault? Fault => _state.Fault;

    /// <inheritdoc cref="WatchState.Complaint"/>
    public EngineFault? Complaint => _state.Complaint;

    public TimeSpan NextDue => _isReading ? Never : Min(_allDue, Min(_servicesDue, _tasksDue));

    /// <summary>Set when a read found a service created, changed or removed; the loop asks whether an event had said so.</summary>
    public bool FoundChange { get; private set; }

    public void OnConnected(TimeSpan now)
    {
        _allDue = TimeSpan.Zero;
        // For a moment a restarted Engine claims that dead tasks run.
        foreach (var service in _services.Values.Where(SwarmModel.HasMillauLabels))
            _follow.OnEvent(service.Id!, now);
    }

    public void OnServiceEvent(string id, TimeSpan now)
    {
        _follow.OnEvent(id, now);
        _servicesDue = Min(_servicesDue, Soon(now));
        _tasksDue = Min(_tasksDue, Soon(now));
    }

    /// <summary>A node was drained, or came or went: its tasks will move.</summary>
    public void OnNodeEvent(string nodeId, TimeSpan now)
    {
        foreach (var (serviceId, tasks) in _tasks)
        {
            if (tasks.Any(t => t.NodeId == nodeId && SwarmModel.IsAlive(t)))
                _follow.OnEvent(serviceId, now);
        }

        _allDue = Min(_allDue, Soon(now));
    }

    /// <summary>A container of the service started or ended on this node.</summary>
    public void OnContainerEvent(string serviceId, TimeSpan now)
    {
        _follow.OnHint(serviceId, now);
        if (_follow.IsActive(serviceId))
            _tasksDue = Min(_tasksDue, Soon(now));
    }

    /// <summary>The read to do now, or null. Its result goes to <see cref="Apply"/>.</summary>
    public Func<CancellationToken, Task<SwarmRead>>? TryStart(TimeSpan now, bool hasEvents)
    {
        if (_isReading || NextDue > now)
            return null;
        var isAll = _allDue <= now;
        var withServices = isAll || _servicesDue <= now;
        if (withServices)
            _servicesDue = Never;
        if (isAll)
            _allDue = Never;
        _tasksDue = Never;
        _isReading = true;
        var followed = isAll ? [] : _follow.Active();
        var known = withServices ? null : _services;
        var isDraining = _draining.Count > 0;
        _state.HasEvents = hasEvents;
        return async cancellation =>
        {
            List<ServiceModel>? services = null;
            var byId = known;
            if (byId is null)
            {
                var answer = await engine.GetServicesAsync(cancellation);
                if (answer.Value is null)
                    return new SwarmRead(isAll, null, null, null, answer.Fault);
                services = [.. answer.Value.Where(s => s is { Id.Length: > 0 }).Select(s => s!)];
                byId = [];
                foreach (var service in services)
                    byId[service.Id!] = service;
            }

            var ids = isAll
                ? byId.Values.Where(SwarmModel.HasMillauLabels).Select(s => s.Id!).ToList()
                : followed;
            // The filter knows no service that was removed, and the tasks of such a one are worth knowing.
            var removed = isDraining || ids.Exists(id => !byId.ContainsKey(id))
                          || (known is null && IsAnyMissing(byId));
            ids.RemoveAll(id => !byId.TryGetValue(id, out var s) || !SwarmModel.HasMillauLabels(s));
            if (ids.Count == 0 && !removed)
                return new SwarmRead(isAll, services, null, null, null);
            var filter = removed || ids.Count > LongestFilter ? [] : ids;
            var tasks = await engine.GetTasksAsync(filter, cancellation);
            if (tasks.Fault is { Kind: EngineFaultKind.NotFound })
            {
                filter = [];
                tasks = await engine.GetTasksAsync([], cancellation);
            }

            return tasks.Value is { } list
                ? new SwarmRead(isAll, services, filter.Count == 0 ? null : filter,
                    [.. list.Where(t => t is { Id.Length: > 0, ServiceId.Length: > 0 }).Select(t => t!)], null)
                : new SwarmRead(isAll, services, null, null, tasks.Fault);
        };

        // Reads the loop's own list; it is replaced, never changed, while a read is on its way.
        bool IsAnyMissing(Dictionary<string, ServiceModel> current) => _services.Keys.Any(id => !current.ContainsKey(id));
    }

    /// <summary>Takes over what was read.</summary>
    public void Apply(SwarmRead read, TimeSpan started, TimeSpan now)
    {
        _isReading = false;
        FoundChange = false;
        var took = now - started;
        if (read.Services is { } services)
            ApplyServices(services, now);
        if (read.Tasks is { } tasks)
            ApplyTasks(read.TaskScope, tasks, now);
        if (read.Fault is { } fault)
            ApplyFault(fault, now);
        else if (read.Services is not null || read.Tasks is not null)
            _state.OnRead();

        if (read.IsAll || read.Fault is not null)
            _allDue = Min(_allDue, _state.NextAll(took, now));
        _pausedUntil = now + (took * 4);
        ForgetUnrouted();
        if (read.Fault is null && _follow.IsAnyActive)
            _tasksDue = Min(_tasksDue, now + Max(timing.Follow, took * 5));
        Log.EngineRead(log, "swarm", _services.Count, _tasks.Values.Sum(t => t.Count), took.TotalMilliseconds);
    }

    /// <summary>A read that was cut off with its connection.</summary>
    public void OnReadLost()
    {
        _isReading = false;
        _allDue = TimeSpan.Zero;
    }

    /// <param name="containers">Those of this Engine, which know more of tasks than the tasks themselves.</param>
    /// <param name="now">The clock's time.</param>
    public IEnumerable<FoundService> Found(ContainerWatcher containers, TimeSpan now)
    {
        foreach (var (id, service) in _services)
            yield return ToService(id, service, false, containers, now);
        foreach (var (id, (service, _)) in _draining)
            yield return ToService(id, service, true, containers, now);
    }

    /// <summary>Those of a service's ports that it publishes through the mesh, as seen from outside.</summary>
    /// <param name="serviceId">Any.</param>
    /// <param name="targets">The ports in the container that are asked for.</param>
    public ImmutableArray<int> MeshPortsOf(string serviceId, ImmutableArray<int> targets) =>
        _services.TryGetValue(serviceId, out var service) ? [.. SwarmModel.MeshPorts(service, targets)] : [];

    private FoundService ToService(
        string id, ServiceModel service, bool isRemoved, ContainerWatcher containers, TimeSpan now)
    {
        var tasks = TasksOf(id);
        var instances = SwarmModel.Instances(service, tasks, isRemoved, containers.AddressesOf);
        // Just created or scaled: the tasks follow some milliseconds after the service.
        var isAwaited = _follow.HadEventWithin(id, timing.Settle, now)
                        && (ulong)tasks.Count(SwarmModel.IsWanted) < (SwarmModel.Wanted(service) ?? 1);
        return new FoundService
        {
            Origin = ServiceOrigin.Swarm,
            Name = SwarmModel.NameOf(service),
            Labels = SwarmModel.LabelsOf(service),
            Instances = instances,
            IsRemoved = isRemoved,
            IsStarting = !isRemoved && (isAwaited || tasks.Exists(SwarmModel.IsStarting)),
            Notice = SwarmModel.MisplacedLabels(service),
            Wanted = SwarmModel.Wanted(service),
            TaskError = isRemoved ? "" : SwarmModel.TaskError(service, tasks),
            ExposedPorts = [.. instances.SelectMany(i => containers.PortsOf(i.ContainerId))
                .Concat(SwarmModel.TargetPorts(service)).Distinct().Order()],
        };
    }

    private void ApplyServices(List<ServiceModel> services, TimeSpan now)
    {
        if (!_emptyServices.Believes(_services.Count, services.Count))
        {
            Log.EmptyListNotBelieved(log, "/services", _services.Count);
            _servicesDue = Min(_servicesDue, now + timing.Follow);
            return;
        }

        var previous = _services;
        _services = services.DistinctBy(s => s.Id).ToDictionary(s => s.Id!);
        foreach (var (id, service) in previous)
        {
            if (_services.ContainsKey(id))
                continue;
            FoundChange = true;
            if (!SwarmModel.HasMillauLabels(service))
                continue;
            _draining[id] = (service, now);
            _follow.OnEvent(id, now);
        }

        foreach (var (id, service) in _services)
        {
            _draining.Remove(id);
            if (!previous.TryGetValue(id, out var before) || before.Version?.Index != service.Version?.Index)
            {
                FoundChange = true;
                if (SwarmModel.HasMillauLabels(service) && !_follow.IsActive(id))
                    _follow.OnEvent(id, now);
            }
        }
    }

    private void ApplyTasks(IReadOnlyCollection<string>? scope, List<TaskModel> tasks, TimeSpan now)
    {
        var before = (scope ?? (IReadOnlyCollection<string>)_tasks.Keys).Sum(id => TasksOf(id).Count(SwarmModel.IsAlive));
        if (!_emptyTasks.Believes(before, tasks.Count))
        {
            Log.EmptyListNotBelieved(log, "/tasks", before);
            _tasksDue = Min(_tasksDue, now + timing.Follow);
            _allDue = Min(_allDue, now + timing.Follow);
            return;
        }

        var read = tasks.Where(t => _services.ContainsKey(t.ServiceId!) || _draining.ContainsKey(t.ServiceId!))
            .GroupBy(t => t.ServiceId!).ToDictionary(g => g.Key, g => g.ToList());
        if (scope is null)
            _tasks = read;
        else
            foreach (var id in scope)
                _tasks[id] = read.GetValueOrDefault(id) ?? [];

        foreach (var id in scope ?? (IEnumerable<string>)_services.Keys)
        {
            if (!_services.TryGetValue(id, out var service) || !SwarmModel.HasMillauLabels(service))
                continue;
            var isSettled = SwarmModel.IsSettled(service, TasksOf(id));
            _follow.OnRead(id, isSettled, SwarmModel.IsUpdating(service), now);
            if (!isSettled && !_follow.IsActive(id))
                _follow.OnHint(id, now);
        }

        if (scope is not null)
            return;
        foreach (var (id, (_, since)) in _draining)
        {
            _follow.OnRead(id, isSettled: false, isUpdating: false, now);
            // Tasks of a node that is down are shown as running for ever.
            if (TasksOf(id).Exists(SwarmModel.IsAlive) && now - since < timing.KeepRemoved)
                continue;
            _draining.Remove(id);
            _tasks.Remove(id);
            _follow.Forget(id);
        }
    }

    private void ApplyFault(EngineFault fault, TimeSpan now)
    {
        if (_state.OnFault(fault, now) is not WatchState.Verdict.NothingThere || _services.Count == 0)
            return;
        foreach (var service in _services.Values)
            _follow.Forget(service.Id!);
        _services = [];
        _tasks = [];
        _draining.Clear();
    }

    /// <summary>When to read after an event; a burst of events must not become one read after the other.</summary>
    private TimeSpan Soon(TimeSpan now) => Max(now + timing.AfterEvent, _pausedUntil);

    /// <summary>Events come for all services, but only routed ones are worth following.</summary>
    private void ForgetUnrouted()
    {
        foreach (var id in _follow.Active())
        {
            if (!_draining.ContainsKey(id)
                && !(_services.TryGetValue(id, out var service) && SwarmModel.HasMillauLabels(service)))
                _follow.Forget(id);
        }
    }

    private List<TaskModel> TasksOf(string serviceId) => _tasks.GetValueOrDefault(serviceId) ?? [];

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;
}

/// <summary>What one read brought.</summary>
/// <param name="IsAll">Everything was to be read.</param>
/// <param name="Services">Null when they were not read.</param>
/// <param name="TaskScope">The services whose tasks were read; null for all.</param>
/// <param name="Tasks">Null when they were not read.</param>
/// <param name="Fault">What stopped the read.</param>
internal sealed record SwarmRead(
    bool IsAll,
    List<ServiceModel>? Services,
    IReadOnlyCollection<string>? TaskScope,
    List<TaskModel>? Tasks,
    EngineFault? Fault);
