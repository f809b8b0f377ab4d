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

    private const string Serving = "serving";

    private readonly Lock _lock = new();
    private readonly ILogger<Health> _logger;

    /// <summary>Reasons of the conditions that are down, by condition. Replaced under the lock, read without.</summary>
    private volatile ImmutableSortedDictionary<string, string> _down =
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal)
            .Add(Engine, "not reached yet")
            .Add(Listeners, "not bound yet");

    public Health(ILogger<Health> logger) => _logger = logger;

    public bool IsUp => _down.IsEmpty;

    /// <summary>What is down and why, as <c>condition: reason</c>, in the conditions' order; none if up.</summary>
    public ImmutableArray<string> Reasons => [.. _down.Select(d => $"{d.Key}: {d.Value}")];

    /// <summary>Says that a condition holds.</summary>
    public void Up(string condition) => Change(condition, null);

    /// <summary>Says that the process is on its way out. Not a fault, so nothing is logged; there is no way back.</summary>
    public void Drain()
    {
        lock (_lock)
            _down = _down.SetItem(Serving, "draining");
    }

    /// <summary>Says that a condition does not hold, and why.</summary>
    public void Down(string condition, string reason) => Change(condition, reason);

    private void Change(string condition, string? reason)
    {
        lock (_lock)
        {
            var before = _down;
            var after = reason is null ? before.Remove(condition) : before.SetItem(condition, reason);
            if (ReferenceEquals(before, after))
                return;

            // Logged under the lock, so that the log has the order of the changes.
            _down = after;
            if (after.IsEmpty)
                Log.HealthUp(_logger);
            else if (reason is not null)
                Log.HealthDown(_logger, condition, reason);
        }
    }
}
