using Millau.Transport;

namespace Millau.Upstreams;

/// <summary>What an instance did so far, for those who watch; routing does not depend on it. Any thread.</summary>
internal sealed class InstanceTally
{
    // The weight of the newest answer in the average is 1/8: some ten answers after a change it shows.
    private const int Smoothing = 8;

    private const int UnderWay = 0;
    private const int Answer = 1;

    private readonly LoopCounts _counts = new(2);
    private long _failed;
    private long _latencyTicks;
    private volatile InstanceFailure? _lastFailure;

    /// <summary>Attempts that are under way, answers that are still relayed included.</summary>
    public int InFlight => (int)Math.Max(0, _counts[UnderWay]);

    /// <summary>Attempts that were answered.</summary>
    public long Answers => _counts[Answer];

    /// <summary>Attempts that failed.</summary>
    public long Failures => Volatile.Read(ref _failed);

    /// <summary>Moving average of the time from an attempt's start to the head of its answer; zero before the first.</summary>
    public TimeSpan Latency => new(Volatile.Read(ref _latencyTicks));

    /// <summary>The last attempt that failed; null if none did.</summary>
    public InstanceFailure? LastFailure => _lastFailure;

    public void Begin() => _counts.Add(UnderWay);

    public void Answered(TimeSpan latency)
    {
        _counts.Add(Answer);
        // Race window: of two answers at the same moment the average may miss one.
        var average = Volatile.Read(ref _latencyTicks);
        Volatile.Write(ref _latencyTicks, average == 0 ? latency.Ticks : average + (latency.Ticks - average) / Smoothing);
    }

    public void Failed(string reason, DateTimeOffset at)
    {
        Interlocked.Increment(ref _failed);
        _lastFailure = new InstanceFailure(reason, at);
    }

    public void End() => _counts.Add(UnderWay, -1);
}

/// <summary>A failed attempt.</summary>
/// <param name="Reason">In a few words.</param>
/// <param name="At">When.</param>
internal sealed record InstanceFailure(string Reason, DateTimeOffset At);
