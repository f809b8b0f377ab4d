namespace Millau.Upstreams;

/// <summary>
/// Says that an instance, or the set of instances, may have become usable, to whoever waits for that. The number
/// closes the gap between looking and waiting: who looked at an older one need not wait.
/// </summary>
internal sealed class Availability
{
    private long _version;

    /// <summary>Called after each change, on the thread that made it.</summary>
    public event Action? Changed;

    /// <summary>Counts changes.</summary>
    public long Version => Volatile.Read(ref _version);

    /// <summary>Something may be usable that was not before.</summary>
    public void Change()
    {
        Interlocked.Increment(ref _version);
        Changed?.Invoke();
    }
}
