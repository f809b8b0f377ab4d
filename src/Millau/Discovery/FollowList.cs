namespace Millau.Discovery;

/// <summary>
/// Which services are read fast at the moment. An event makes a service followed until it has settled. One that never
/// settles uses up a budget, regained slowly, so that a crash loop cannot keep the Engine busy for ever. One user: the
/// loop of <see cref="SwarmWatcher"/>.
/// </summary>
internal sealed class FollowList(DiscoveryTiming timing)
{
    /// <summary>The share of time in which a service that does not settle may be followed.</summary>
    private const double Regained = 0.05;

    /// <summary>An update may take many minutes between its tasks, and announces none of them.</summary>
    private const double WhileUpdating = 0.05;

    private readonly Dictionary<string, Entry> _entries = [];

    public bool IsAnyActive => _entries.Values.Any(e => e.IsActive);

    public List<string> Active() => [.. _entries.Where(e => e.Value.IsActive).Select(e => e.Key)];

    public bool IsActive(string id) => _entries.TryGetValue(id, out var entry) && entry.IsActive;

    /// <summary>Whether an event of the service came less than <paramref name="period"/> ago.</summary>
    public bool HadEventWithin(string id, TimeSpan period, TimeSpan now) =>
        _entries.TryGetValue(id, out var entry) && entry.LastEvent is { } last && now - last < period;

    /// <summary>When the last event of the service came; null if none did.</summary>
    public TimeSpan? LastEventOf(string id) => _entries.GetValueOrDefault(id)?.LastEvent;

    /// <summary>Somebody changed the service: the full budget is at hand.</summary>
    public void OnEvent(string id, TimeSpan now)
    {
        var entry = Get(id, now);
        entry.LastEvent = now;
        entry.MovedAt = now;
        entry.Budget = timing.FollowBudget;
        entry.AccountedAt = now;
        entry.IsActive = true;
    }

    /// <summary>Something moves, though nobody changed the service: followed as far as the budget goes.</summary>
    public void OnHint(string id, TimeSpan now)
    {
        var entry = Get(id, now);
        entry.MovedAt = now;
        if (entry.IsActive)
            return;
        Account(entry, isUpdating: false, now);
        // Begun with a sixth at least, so that it is not a flicker.
        entry.IsActive = entry.Budget >= timing.FollowBudget / 6;
    }

    /// <summary>The tasks of a service were read.</summary>
    public void OnRead(string id, bool isSettled, bool isUpdating, TimeSpan now)
    {
        if (!_entries.TryGetValue(id, out var entry) || !entry.IsActive)
            return;
        Account(entry, isUpdating, now);
        if ((isSettled && now - entry.MovedAt >= timing.Settle) || entry.Budget <= TimeSpan.Zero)
            entry.IsActive = false;
    }

    public void Forget(string id) => _entries.Remove(id);

    private Entry Get(string id, TimeSpan now)
    {
        if (!_entries.TryGetValue(id, out var entry))
            _entries[id] = entry = new Entry { Budget = timing.FollowBudget, AccountedAt = now };
        return entry;
    }

    private void Account(Entry entry, bool isUpdating, TimeSpan now)
    {
        var passed = now - entry.AccountedAt;
        entry.AccountedAt = now;
        var change = passed * (entry.IsActive ? isUpdating ? -WhileUpdating : -1 : Regained);
        var budget = entry.Budget + change;
        entry.Budget = budget > timing.FollowBudget ? timing.FollowBudget : budget;
    }

    private sealed class Entry
    {
        public bool IsActive { get; set; }
        public TimeSpan? LastEvent { get; set; }
        public TimeSpan MovedAt { get; set; }
        public TimeSpan Budget { get; set; }
        public TimeSpan AccountedAt { get; set; }
    }
}
