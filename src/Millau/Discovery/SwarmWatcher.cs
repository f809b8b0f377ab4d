using System.Collections.Immutable;
using System.Diagnostics;
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
    private static readonly TimeSpan Never = TimeSpan.MaxValue;
    private static readonly List<TaskModel> NoTasks = [];

    private readonly SwarmReader _reader = new(engine);
    private readonly FollowList _follow = new(timing);
    private readonly SwarmFindings _findings = new();
    private readonly EmptyListGuard _emptyServices = new();
    private readonly EmptyListGuard _emptyTasks = new();
    private readonly WatchState _state = new("swarm", timing, log);

    private Dictionary<string, ServiceModel> _services = [];
    private Dictionary<string, List<TaskModel>> _tasks = [];

    /// <summary>Deleted services with tasks that still run, and since when.</summary>
    private readonly Dictionary<string, (ServiceModel Service, TimeSpan Since)> _draining = [];

    /// <summary>Services of which events told since they were read.</summary>
    private readonly HashSet<string> _changed = [];

    private TimeSpan? _awaitedUntil;
    private TimeSpan _allDue = TimeSpan.Zero;
    private TimeSpan _servicesDue = Never;
    private TimeSpan _tasksDue = Never;
    private TimeSpan _pausedUntil = TimeSpan.Zero;
    private TimeSpan _wholePausedUntil = TimeSpan.Zero;
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

    /// <summary>The last read showed something else than was known.</summary>
    public bool HasChanged { get; private set; }

    /// <summary>The time is up in which a service that was just changed is taken for one that starts.</summary>
    public bool IsAwaitOver(TimeSpan now) => _awaitedUntil <= now;

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
        _changed.Add(id);
        _servicesDue = Min(_servicesDue, Soon(now, _pausedUntil));
    }

    /// <summary>A node was drained, or came or went: its tasks will move.</summary>
    public void OnNodeEvent(string nodeId, TimeSpan now)
    {
        foreach (var (serviceId, tasks) in _tasks)
        {
            if (tasks.Any(t => t.NodeId == nodeId && SwarmModel.IsAlive(t)))
                _follow.OnEvent(serviceId, now);
        }

        _allDue = Min(_allDue, Soon(now, _wholePausedUntil));
    }

    /// <summary>A container of the service started or ended on this node.</summary>
    public void OnContainerEvent(string serviceId, TimeSpan now)
    {
        _follow.OnHint(serviceId, now);
        if (_follow.IsActive(serviceId))
            _tasksDue = Min(_tasksDue, Soon(now, _pausedUntil));
    }

    /// <summary>The read to do now, or null. Its result goes to <see cref="Apply"/>.</summary>
    public Func<CancellationToken, Task<SwarmRead>>? TryStart(TimeSpan now, bool hasEvents)
    {
        if (_isReading || NextDue > now)
            return null;
        var isAll = _allDue <= now;
        IReadOnlyCollection<string>? changed = null;
        if (isAll || _servicesDue <= now)
        {
            changed = isAll ? [] : [.. _changed.Take(SwarmReader.LongestFilter)];
            if (isAll)
                _changed.Clear();
            else
                _changed.ExceptWith(changed);
            _servicesDue = Never;
        }

        if (isAll)
            _allDue = Never;
        _tasksDue = Never;
        _isReading = true;
        _state.HasEvents = hasEvents;
        var question = new SwarmQuestion(isAll, changed, isAll ? [] : _follow.Active(), _services, _draining.Count > 0);
        return cancellation => _reader.ReadAsync(question, cancellation);
    }

    /// <summary>Takes over what was read.</summary>
    public void Apply(SwarmRead read, TimeSpan started, TimeSpan now)
    {
        _isReading = false;
        FoundChange = HasChanged = false;
        var took = now - started;
        var begun = Stopwatch.GetTimestamp();
        if (read is { Services: { } few, ServiceScope: not null })
        {
            foreach (var service in few)
            {
                Take(_services.GetValueOrDefault(service.Id!), service, now);
                _services[service.Id!] = service;
            }
        }
        else if (read.Services is { } services)
        {
            ApplyServices(services, now);
        }

        if (read.Tasks is { } tasks)
            ApplyTasks(read.TaskScope, tasks, now);
        if (read.Fault is { } fault)
            ApplyFault(fault, now);
        else if (read.Services is not null || read.Tasks is not null)
            _state.OnRead();

        if (HasChanged)
            _findings.Keep(id => _services.ContainsKey(id) || _draining.ContainsKey(id));
        var cost = read.Cost + Stopwatch.GetElapsedTime(begun);
        if (read.IsAll || read.Fault is not null)
            _allDue = Min(_allDue, _state.NextAll(took, cost, now));
        var isWhole = read is { Services: not null, ServiceScope: null } or { Tasks: not null, TaskScope: null };
        // A few services can be read though all of them took long just now.
        if (isWhole)
            _wholePausedUntil = now + (took * 4);
        else
            _pausedUntil = now + (took * 4);
        if (_changed.Count > 0)
            _servicesDue = Min(_servicesDue, Soon(now, _pausedUntil));
        ForgetUnrouted();
        if (read.Fault is null && _follow.IsAnyActive)
        {
            // What all took says nothing of the few that come next.
            var isFewNext = _draining.Count == 0 && _follow.Active().Count <= SwarmReader.LongestFilter;
            var fair = isWhole && isFewNext ? TimeSpan.Zero : Max(took * 5, cost * 20);
            _tasksDue = Min(_tasksDue, now + Max(timing.Follow, fair));
        }

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
        _awaitedUntil = null;
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
        // Just created or scaled: the tasks follow some milliseconds after the service.
        var isAwaited = _follow.HadEventWithin(id, timing.Settle, now)
                        && (ulong)tasks.Count(SwarmModel.IsWanted) < (SwarmModel.Wanted(service) ?? 1);
        if (isAwaited)
            _awaitedUntil = Min(_awaitedUntil ?? Never, _follow.LastEventOf(id)!.Value + timing.Settle);
        return _findings.Of(new SwarmFindings.Source(id, service, tasks, isRemoved, isAwaited), containers);
    }

    private void ApplyServices(List<ServiceModel> services, TimeSpan now)
    {
        if (!_emptyServices.Believes(_services.Count, services.Count))
        {
            Log.EmptyListNotBelieved(log, "/services", _services.Count);
            _allDue = Min(_allDue, now + timing.Follow);
            return;
        }

        var previous = _services;
        _services = services.DistinctBy(s => s.Id).ToDictionary(s => s.Id!);
        foreach (var (id, service) in previous)
        {
            if (_services.ContainsKey(id))
                continue;
            FoundChange = HasChanged = true;
            if (!SwarmModel.HasMillauLabels(service))
                continue;
            _draining[id] = (service, now);
            _follow.OnEvent(id, now);
        }

        foreach (var (id, service) in _services)
            Take(previous.GetValueOrDefault(id), service, now);
    }

    /// <summary>A service as it is now.</summary>
    private void Take(ServiceModel? before, ServiceModel service, TimeSpan now)
    {
        var id = service.Id!;
        HasChanged |= _draining.Remove(id) || before is null || !Sameness.Of(before, service);
        if (before is not null && before.Version?.Index == service.Version?.Index)
            return;
        FoundChange = true;
        if (SwarmModel.HasMillauLabels(service) && !_follow.IsActive(id))
            _follow.OnEvent(id, now);
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
        HasChanged |= scope is null && read.Count != _tasks.Count;
        foreach (var id in scope ?? (IEnumerable<string>)read.Keys)
        {
            // What says the same stays the same object: so nothing is made anew of it.
            if (Sameness.Of(TasksOf(id), read.GetValueOrDefault(id) ?? NoTasks))
            {
                if (read.ContainsKey(id))
                    read[id] = TasksOf(id);
            }
            else
            {
                HasChanged = true;
            }
        }

        if (scope is null)
            _tasks = read;
        else
            foreach (var id in scope)
            {
                if (read.TryGetValue(id, out var its))
                    _tasks[id] = its;
                else
                    _tasks.Remove(id);
            }

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
            HasChanged = true;
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
        HasChanged = true;
        _services = [];
        _tasks = [];
        _draining.Clear();
    }

    /// <summary>When to read after an event; a burst of events must not become one read after the other.</summary>
    private TimeSpan Soon(TimeSpan now, TimeSpan pausedUntil) => Max(now + timing.AfterEvent, pausedUntil);

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

    private List<TaskModel> TasksOf(string serviceId) => _tasks.GetValueOrDefault(serviceId) ?? NoTasks;

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;
}
