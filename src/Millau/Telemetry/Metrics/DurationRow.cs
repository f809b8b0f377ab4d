using Millau.Transport;
using Prometheus;

namespace Millau.Telemetry.Metrics;

/// <summary>One row of a histogram of durations, which the event loops count for themselves as in a <see cref="CounterRow"/>.</summary>
/// <param name="row">Written here alone; null for one that nobody is to see.</param>
/// <param name="bounds">Its buckets, in ticks of a <see cref="TimeSpan"/>: the longest duration of each but the last.</param>
internal sealed class DurationRow(Histogram.Child? row, long[] bounds) : LoopLocal<long[]>
{
    // What a loop has: how many observations began and how many are done, so that a reader knows when both numbers of each bucket
    // belong together; then the buckets, each a count and the sum of its durations.
    private const int Begun = 0;
    private const int Done = 1;
    private const int FirstBucket = 2;

    private readonly long[] _handedOver = new long[FirstBucket + 2 * (bounds.Length + 1)];

    /// <param name="loop">As <see cref="LoopLocal{T}.Of"/> says.</param>
    /// <param name="duration">Not negative.</param>
    public void Observe(EventLoop? loop, TimeSpan duration)
    {
        if (Of(loop) is not { } own)
        {
            row?.Observe(duration.TotalSeconds);
            return;
        }
        var bucket = 0;
        while (bucket < bounds.Length && duration.Ticks > bounds[bucket]) bucket++;
        var at = FirstBucket + 2 * bucket;
        // In this order for whoever reads meanwhile.
        Volatile.Write(ref own[Begun], own[Begun] + 1);
        Volatile.Write(ref own[at], own[at] + 1);
        Volatile.Write(ref own[at + 1], own[at + 1] + duration.Ticks);
        Volatile.Write(ref own[Done], own[Begun]);
    }

    /// <summary>Before the text is made; one thread at a time.</summary>
    public void HandOver()
    {
        var numbers = new long[_handedOver.Length];
        var sums = new long[_handedOver.Length];
        foreach (ref readonly var place in All)
        {
            if (place.Owner is null) continue;
            Read(place.Value, numbers);
            for (var i = FirstBucket; i < sums.Length; i++) sums[i] += numbers[i];
        }
        for (var i = FirstBucket; i < sums.Length; i += 2)
        {
            var count = sums[i] - _handedOver[i];
            if (count == 0) continue;
            // As often their mean, which lies in the same bucket and makes the same sum.
            row?.Observe((double)(sums[i + 1] - _handedOver[i + 1]) / count / TimeSpan.TicksPerSecond, count);
        }
        sums.CopyTo(_handedOver, 0);
    }

    /// <summary>Takes the row away. What is still observed is seen by nobody.</summary>
    public void Remove() => row?.Remove();

    protected override long[] Make() => new long[_handedOver.Length];

    private static void Read(long[] own, long[] numbers)
    {
        var wait = new SpinWait();
        while (true)
        {
            var done = Volatile.Read(ref own[Done]);
            for (var i = FirstBucket; i < numbers.Length; i++) numbers[i] = Volatile.Read(ref own[i]);
            if (Volatile.Read(ref own[Begun]) == done) return;
            wait.SpinOnce();
        }
    }
}
