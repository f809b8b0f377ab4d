using Microsoft.Extensions.Logging.Abstractions;
using Millau.Transport;

namespace Millau.Tests.Transport;

/// <summary>Nothing that is counted is lost, whoever counts it.</summary>
public sealed class LoopCountsTests : IDisposable
{
    private readonly EventLoops _loops = new(NullLogger.Instance, 3);
    private readonly LoopCounts _counts = new(2);

    [Fact]
    public async Task What_loops_and_other_threads_count_at_the_same_time_comes_together()
    {
        const int times = 1_000_000;
        using var another = new EventLoop(0, NullLogger.Instance);
        using var together = new Barrier(6);
        var before = 0L;
        var fell = false;
        void Count()
        {
            Assert.True(together.SignalAndWait(Wire.ScriptedConnection.Deadline));
            for (var i = 0; i < times; i++) _counts.Add(1);
        }

        // The other set's loop has the number of one of the first set, so that both want the same place.
        var counting = Task.WhenAll([
            .. _loops.All.Select(loop => loop.RunAsync(Count)), another.RunAsync(Count), Task.Run(Count), Task.Run(Count)]);
        while (!counting.IsCompleted)
        {
            var now = _counts[1];
            fell |= now < before;
            before = now;
        }
        await counting;

        Assert.False(fell);
        Assert.Equal((0, 6 * times), (_counts[0], _counts[1]));
    }

    [Fact]
    public async Task What_one_loop_counts_up_another_thread_may_count_down()
    {
        await _loops.All[2].RunAsync(() => _counts.Add(0, 5));
        Assert.Equal(5, _counts[0]);

        await _loops.All[0].RunAsync(() => _counts.Add(0, -2));
        _counts.Add(0, -3);

        Assert.Equal(0, _counts[0]);
    }

    [Fact]
    public async Task A_loop_that_counts_again_allocates_nothing()
    {
        var allocated = -1L;
        await _loops.All[1].RunAsync(() =>
        {
            _counts.Add(0);
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++) _counts.Add(0);
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        });

        Assert.Equal(0, allocated);
    }

    public void Dispose() => _loops.Dispose();
}
