namespace Millau.Upstreams;

/// <summary>What an instance did so far, for those who watch; routing does not depend on it. Any thread.</summary>
internal sealed class InstanceTally
{
    // The weight of the newest answer in the average is 1/8: some ten answers after a change it shows.
    private const int Smoothing = 8;

    private int _inFlight;
    private long _answered;
    private long _failed;
    private long _latencyTicks;
    private volatile InstanceFailure? _lastFailure;

    /// <summary>Attempts that are under way, answers that are still relayed included.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>Attempts that were answered.</summary>
    public long Answers => Volatile.Read(ref _answered);

    /// <summary>Attempts that failed.</summary>
    public long Failures => Volatile.Read(ref _failed);

    /// <summary>Moving average of the time from an attempt's start to the head of its answer; zero before the first.</summary>
    public TimeSpan Latency => new(Volatile.Read(ref _latencyTicks));

    /// <summary>The last attempt that failed; null if none did.</summary>
    public InstanceFailure? LastFailure => _lastFailure;

    public void Begin() => Interlocked.Increment(ref _inFlight);

    public void Answered(TimeSpan latency)
    {
        var first = Interlocked.Increment(ref _answered) == 1;
        // Race window: of two answers at the same moment the average may miss one.
        var average = Volatile.Read(ref _latencyTicks);
        Volatile.Write(ref _latencyTicks, first ? latency.Ticks : average + (latency.Ticks - average) / Smoothing);
    }

    public void Failed(string reason, DateTimeOffset at)
    {
        Interlocked.Increment(ref _failed);
        _lastFailure = new InstanceFailure(reason, at);
    }

    public void End() => Interlocked.Decrement(ref _inFlight);
}

/// <summary>A failed attempt.</summary>
/// <param name="Reason">In a few words.</param>
/// <param name="At">When.</param>
internal sealed record InstanceFailure(string Reason, DateTimeOffset At);
