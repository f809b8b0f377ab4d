using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace Millau.Telemetry;

/// <summary>
/// Whether this process does its work: up while no condition is down. Conditions are set by those who know them, from any
/// thread; a change of the whole is logged.
/// </summary>
internal sealed class Health
{
    /// <summary>The Engine answers.</summary>
    public const string Engine = "engine";

    /// <summary>Every listener is bound.</summary>
    public const string Listeners = "listeners";

    /// <summary>Not on the way out.</summary>
    public const string Serving = "serving";

    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly ILogger<Health> _logger;

    /// <summary>Replaced under the lock, read without.</summary>
    private volatile HealthState _state;

    public Health(TimeProvider time, ILogger<Health> logger)
    {
        _time = time;
        _logger = logger;
        var now = time.GetUtcNow();
        _state = new HealthState(now, ImmutableSortedDictionary.Create<string, HealthReason>(StringComparer.Ordinal)
            .Add(Engine, new(Engine, "not reached yet", now))
            .Add(Listeners, new(Listeners, "not bound yet", now)));
    }

    /// <summary>As it stands.</summary>
    public HealthState Current => _state;

    public bool IsUp => _state.IsUp;

    /// <summary>Says that a condition holds.</summary>
    public void Up(string condition) => Change(condition, null);

    /// <summary>Says that the process is on its way out. Not a fault, so nothing is logged; there is no way back.</summary>
    public void Drain()
    {
        lock (_lock)
            _state = After(Serving, "draining");
    }

    /// <summary>Says that a condition does not hold, and why.</summary>
    public void Down(string condition, string reason) => Change(condition, reason);

    private void Change(string condition, string? reason)
    {
        lock (_lock)
        {
            var before = _state;
            var after = After(condition, reason);
            if (ReferenceEquals(before, after))
                return;

            // Logged under the lock, so that the log has the order of the changes.
            _state = after;
            if (after.IsUp)
                Log.HealthUp(_logger);
            else if (reason is not null)
                Log.HealthDown(_logger, condition, reason);
        }
    }

    /// <summary>The state with one condition set; the same object if that changes nothing.</summary>
    private HealthState After(string condition, string? reason)
    {
        var before = _state;
        var known = before.Down.GetValueOrDefault(condition);
        if (known?.Reason == reason)
            return before;
        var now = _time.GetUtcNow();
        var down = reason is null
            ? before.Down.Remove(condition)
            : before.Down.SetItem(condition, new HealthReason(condition, reason, known?.Since ?? now));
        return new HealthState(down.IsEmpty == before.IsUp ? before.Since : now, down);
    }
}

/// <summary>The health of one moment. Immutable.</summary>
/// <param name="Since">When it last went from up to down or back.</param>
/// <param name="Down">The conditions that do not hold, by name.</param>
internal sealed record HealthState(DateTimeOffset Since, ImmutableSortedDictionary<string, HealthReason> Down)
{
    public bool IsUp => Down.IsEmpty;
}

/// <summary>One condition that does not hold.</summary>
/// <param name="Condition">Its name.</param>
/// <param name="Reason">Why, in one line; the latest if it changed.</param>
/// <param name="Since">When it ceased to hold.</param>
internal sealed record HealthReason(string Condition, string Reason, DateTimeOffset Since);
