using Microsoft.Extensions.Logging;

namespace Millau.Logging;

/// <summary>
/// Bounds messages that clients can cause: of each, the first <see cref="MostInPeriod"/> of a minute are written. How many
/// were not is said with the next one that is.
/// </summary>
internal sealed class FloodGuard(TimeProvider time)
{
    public const int MostInPeriod = 30;

    public static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<int, Count> _counts = [];

    /// <param name="id">The message. There are a few dozen, so that what is kept of them stays small.</param>
    /// <param name="suppressed">How many of it were not written since the last one that was.</param>
    public bool Allows(EventId id, out long suppressed)
    {
        var now = time.GetTimestamp();
        lock (_lock)
        {
            if (!_counts.TryGetValue(id.Id, out var count) || time.GetElapsedTime(count.Since, now) >= Period)
                count = new Count(now, 0, count.Suppressed);
            var isAllowed = count.Written < MostInPeriod;
            suppressed = isAllowed ? count.Suppressed : 0;
            _counts[id.Id] = isAllowed
                ? count with { Written = count.Written + 1, Suppressed = 0 }
                : count with { Suppressed = count.Suppressed + 1 };
            return isAllowed;
        }
    }

    private readonly record struct Count(long Since, int Written, long Suppressed);
}
