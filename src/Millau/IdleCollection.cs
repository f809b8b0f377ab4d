namespace Millau;

/// <summary>
/// Gives memory back after a burst. The collector runs because something is allocated, and once a burst is over hardly anything
/// is: what ten thousand clients held would stay until the next one. So when nothing was collected for a while, though more is
/// held than after the last time, everything is collected and compacted once. With traffic this never runs.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="collections">How often the collector has run.</param>
/// <param name="held">Bytes that the collector has of the system, as of its last run.</param>
/// <param name="collect">Collects, and gives back what is free.</param>
internal sealed class IdleCollection(TimeProvider time, Func<int> collections, Func<long> held, Action collect) : IDisposable
{
    /// <summary>How long nothing must have been collected.</summary>
    public static readonly TimeSpan Quiet = TimeSpan.FromSeconds(30);

    // Less is not worth a pause, however short.
    private const long LeastGain = 4 * 1024 * 1024;

    private ITimer? _timer;
    private int _seen;
    private long _heldBefore;

    /// <summary>For the collector of this process.</summary>
    public static IdleCollection Start(TimeProvider time)
    {
        var collection = new IdleCollection(
            time, () => GC.CollectionCount(0), () => GC.GetGCMemoryInfo().TotalCommittedBytes,
            () => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));
        collection.Start();
        return collection;
    }

    public void Start()
    {
        _seen = collections();
        _timer = time.CreateTimer(static state => ((IdleCollection)state!).OnTimer(), this, Quiet, Quiet);
    }

    public void Dispose() => _timer?.Dispose();

    private void OnTimer()
    {
        var seen = collections();
        var isQuiet = seen == _seen;
        _seen = seen;
        if (!isQuiet || held() < _heldBefore + LeastGain) return;
        collect();
        _seen = collections();
        _heldBefore = held();
    }
}
