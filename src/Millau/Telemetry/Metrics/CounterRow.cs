using Millau.Transport;
using Prometheus;

namespace Millau.Telemetry.Metrics;

/// <summary>
/// One row of a counter that requests add to: prometheus-net is handed the sum when somebody asks. There each increment is an atomic
/// operation that all processors share, and a look for exemplars.
/// </summary>
/// <param name="row">Written here alone; null for one that nobody is to see.</param>
internal sealed class CounterRow(Counter.Child? row)
{
    private readonly LoopCounts _count = new(1);

    /// <summary>Any thread.</summary>
    public void Inc(long count = 1) => _count.Add(0, count);

    /// <inheritdoc cref="LoopCounts.Add(EventLoop?, int, long)"/>
    public void Inc(EventLoop? loop, long count = 1) => _count.Add(loop, 0, count);

    /// <summary>Before the text is made; one thread at a time.</summary>
    public void HandOver() => row?.IncTo(_count[0]);

    /// <summary>Takes the row away. What is still counted is seen by nobody.</summary>
    public void Remove() => row?.Remove();
}
