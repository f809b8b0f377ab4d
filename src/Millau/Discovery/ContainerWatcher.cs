using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace Millau.Discovery;

/// <summary>
/// Knows the containers of this Engine, and when to list them again. All their changes are announced; they are read
/// slowly as well, in case an event was lost.
/// </summary>
/// <remarks>Threads: as for <see cref="SwarmWatcher"/>.</remarks>
internal sealed class ContainerWatcher(EngineClient engine, DiscoveryTiming timing, ILogger log)
{
    private static readonly TimeSpan Never = TimeSpan.MaxValue;

    private readonly EmptyListGuard _empty = new();
    private readonly WatchState _state = new("containers", timing, log);

    private Dictionary<string, ContainerModel> _containers = [];
    private TimeSpan _due = TimeSpan.Zero;
    private TimeSpan _pausedUntil = TimeSpan.Zero;
    private bool _isEventDriven;
    private bool _readFollowsEvent;
    private bool _isReading;

    public bool HasRead => _state.HasRead;

    public EngineFault? Fault => _state.Fault;

    /// <inheritdoc cref="WatchState.Complaint"/>
    public EngineFault? Complaint => _state.Complaint;

    public TimeSpan NextDue => _isReading ? Never : _due;

    /// <summary>Set when a read found a container come or gone; the loop asks whether an event had said so.</summary>
    public bool FoundChange { get; private set; }

    /// <summary>The last read followed an event, or showed something else than the one before.</summary>
    public bool HasChanged { get; private set; }

    public void OnConnected() => _due = TimeSpan.Zero;

    public void OnContainerEvent(TimeSpan now)
    {
        _isEventDriven = true;
        // A burst of events must not become a burst of reads.
        var soon = now + timing.AfterEvent;
        var due = soon > _pausedUntil ? soon : _pausedUntil;
        if (due < _due)
            _due = due;
    }

    /// <summary>So that a list that is older than a start that follows cannot show the former address.</summary>
    public void OnDie(string id)
    {
        if (_containers.TryGetValue(id, out var container))
            _containers[id] = container with { State = "exited" };
    }

    public Func<CancellationToken, Task<EngineAnswer<List<ContainerModel?>>>>? TryStart(TimeSpan now, bool hasEvents)
    {
        if (_isReading || _due > now)
            return null;
        _state.HasEvents = hasEvents;
        _isReading = true;
        _readFollowsEvent = _isEventDriven;
        _isEventDriven = false;
        _due = Never;
        return engine.GetContainersAsync;
    }

    public void Apply(
        EngineAnswer<List<ContainerModel?>> answer, ContainerNews news, TimeSpan started, TimeSpan now)
    {
        _isReading = false;
        FoundChange = HasChanged = false;
        var took = now - started;
        var next = _due;
        if (answer.Value is { } list)
        {
            _state.OnRead();
            next = Min(next, _state.NextAll(took, answer.Cost, now));
            // Once more after an event: the list may have been made just before what it announced.
            if (!TakeOver(list, news, now) || _readFollowsEvent)
                next = Min(next, now + timing.Follow);
        }
        else
        {
            _state.OnFault(answer.Fault!, now);
            next = _state.NextAll(took, answer.Cost, now);
        }

        HasChanged |= FoundChange || _readFollowsEvent;
        _due = next;
        _pausedUntil = now + (took * 4);
        Log.EngineRead(log, "containers", _containers.Count, 0, took.TotalMilliseconds);
    }

    public void OnReadLost()
    {
        _isReading = false;
        _due = TimeSpan.Zero;
    }

    public IEnumerable<FoundService> Found() => PlainModel.Services(_containers.Values);

    /// <summary>
    /// A container of this Engine, one of a Swarm task too; null if it is not known. Another object when anything of it changed.
    /// </summary>
    public ContainerModel? Find(string containerId) => _containers.GetValueOrDefault(containerId);

    /// <summary>The addresses of any container of this Engine, those of Swarm tasks included.</summary>
    public ImmutableArray<NetworkAddress> AddressesOf(string containerId) =>
        Find(containerId) is { } container ? PlainModel.AddressesOf(container) : [];

    /// <summary>The TCP ports that a container exposes.</summary>
    public IEnumerable<int> PortsOf(string containerId) =>
        Find(containerId) is { } container ? PlainModel.PortsOf(container) : [];

    /// <summary>An Engine that was gone may have started its containers again, under their old ids.</summary>
    public void OnEngineRestarted(ContainerNews news, TimeSpan now)
    {
        foreach (var id in _containers.Keys)
            news.OnListedAnew(id, now);
    }

    private bool TakeOver(List<ContainerModel?> list, ContainerNews news, TimeSpan now)
    {
        var containers = new Dictionary<string, ContainerModel>(list.Count);
        foreach (var container in list)
        {
            if (container is { Id.Length: > 0 })
                containers[container.Id] = container;
        }

        if (!_empty.Believes(_containers.Values.Count(c => c.State == "running"), containers.Count))
        {
            Log.EmptyListNotBelieved(log, "/containers/json", _containers.Count);
            return false;
        }

        FoundChange = containers.Count != _containers.Count || containers.Keys.Any(id => !_containers.ContainsKey(id));
        foreach (var (id, container) in containers)
        {
            if (!_containers.TryGetValue(id, out var before) || PlainModel.IsServing(before) == PlainModel.IsServing(container))
                continue;
            HasChanged = true;
            if (PlainModel.IsServing(container))
                news.OnListedAnew(id, now);
        }

        _containers = containers;
        news.Prune([.. containers.Keys], now);
        return true;
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
