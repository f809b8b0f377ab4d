namespace Millau.Discovery;

/// <summary>
/// What events said of containers of this Engine that its lists do not show yet: they lag by up to some seconds. An
/// event outweighs the lists for a while only, so that a container that survived its kill serves again.
/// </summary>
internal sealed class ContainerNews(TimeSpan outweighs)
{
    private readonly Dictionary<string, Entry> _entries = [];

    private enum State
    {
        AsListed,
        Unhealthy,
        Killed,
        Gone,
    }

    public void OnKill(string id, TimeSpan now) => Set(id, State.Killed, now);

    public void OnDie(string id, TimeSpan now)
    {
        Set(id, State.Gone, now);
        _entries[id] = Get(id) with { ListedAnewAt = null };
    }

    public void OnUnhealthy(string id, TimeSpan now) => Set(id, State.Unhealthy, now);

    public void OnStart(string id, TimeSpan now)
    {
        var entry = Get(id);
        // A list may be ahead of the event, and then counted this very start.
        var isCounted = entry.ListedAnewAt is { } at && now - at < outweighs;
        _entries[id] = new Entry(State.AsListed, now, entry.Epoch + (isCounted ? 0 : 1));
    }

    /// <summary>A container that was told to stop may still pass a health check; that does not call it back.</summary>
    public void OnHealthy(string id, TimeSpan now)
    {
        var entry = Get(id);
        var state = entry.State == State.Unhealthy ? State.AsListed : entry.State;
        _entries[id] = entry with { State = state, At = now, Epoch = entry.Epoch + 1 };
    }

    /// <summary>Started or healthy again, though no event said so.</summary>
    public void OnListedAnew(string id, TimeSpan now)
    {
        var entry = Get(id);
        if (entry.Epoch > 0 && entry.State == State.AsListed && now - entry.At < outweighs)
            return; // an event did
        _entries[id] = entry with { Epoch = entry.Epoch + 1, ListedAnewAt = now };
    }

    public int Epoch(string containerId) => Get(containerId).Epoch;

    /// <summary>An event called it unhealthy, and none has called it anything else since.</summary>
    public bool IsUnhealthy(string containerId, TimeSpan now) =>
        _entries.TryGetValue(containerId, out var entry) && entry.State == State.Unhealthy && now - entry.At < outweighs;

    /// <summary>The phase with the news taken into account; null when the container is gone.</summary>
    public InstancePhase? Judge(string containerId, InstancePhase listed, TimeSpan now)
    {
        if (!_entries.TryGetValue(containerId, out var entry) || now - entry.At >= outweighs)
            return listed;
        return entry.State switch
        {
            State.Gone => null,
            State.Killed => InstancePhase.Closing,
            State.Unhealthy when listed == InstancePhase.Running => InstancePhase.Stopping,
            _ => listed,
        };
    }

    /// <summary>Whether some news still outweigh the lists, so that time alone can change what is true.</summary>
    public bool IsAnyInForce(TimeSpan now)
    {
        foreach (var entry in _entries.Values)
        {
            if (entry.State != State.AsListed && now - entry.At < outweighs + TimeSpan.FromSeconds(2))
                return true;
        }

        return false;
    }

    /// <summary>After a gap in the events the lists, read anew, know better. Epochs stay.</summary>
    public void OnGap()
    {
        foreach (var (id, entry) in _entries)
            _entries[id] = entry with { State = State.AsListed };
    }

    /// <summary>Forgets containers that no list shows any more.</summary>
    public void Prune(HashSet<string> listed, TimeSpan now)
    {
        foreach (var (id, entry) in _entries)
        {
            if (!listed.Contains(id) && now - entry.At >= outweighs)
                _entries.Remove(id);
        }
    }

    private Entry Get(string id) => _entries.GetValueOrDefault(id);

    private void Set(string id, State state, TimeSpan now)
    {
        var entry = Get(id);
        // Gone outweighs killed, killed outweighs unhealthy; only a start goes back.
        if (entry.State > state && now - entry.At < outweighs)
            return;
        _entries[id] = entry with { State = state, At = now };
    }

    private readonly record struct Entry(State State, TimeSpan At, int Epoch, TimeSpan? ListedAnewAt = null);
}
