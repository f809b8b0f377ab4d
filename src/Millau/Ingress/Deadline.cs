namespace Millau.Ingress;

/// <summary>
/// A point in time that the heartbeat looks at, and that may be moved or lifted at any moment: it either passes or is lifted, never
/// both. To set and lift it is a swap, no timer.
/// </summary>
internal sealed class Deadline
{
    private const long None = 0;
    private const long Passed = -1;

    private long _at;

    /// <summary>It has passed, and nobody set it anew.</summary>
    public bool HasPassed => Volatile.Read(ref _at) == Passed;

    /// <param name="at">In the milliseconds of <see cref="ServerClock.Now"/>.</param>
    public void Set(long at) => Volatile.Write(ref _at, Math.Max(1, at));

    /// <summary>Lifts it, also when it has passed.</summary>
    public void Clear() => Volatile.Write(ref _at, None);

    /// <summary>Lifts it. False when it has passed; it stays so.</summary>
    public bool TryClear()
    {
        var at = Volatile.Read(ref _at);
        // Race window: the heartbeat may let it pass at this moment; whoever swaps first has it.
        return at != Passed && Interlocked.CompareExchange(ref _at, None, at) == at;
    }

    /// <summary>For the heartbeat: true, once, if it passes now.</summary>
    public bool TryPass(long now)
    {
        var at = Volatile.Read(ref _at);
        return at > None && now >= at && Interlocked.CompareExchange(ref _at, Passed, at) == at;
    }
}
