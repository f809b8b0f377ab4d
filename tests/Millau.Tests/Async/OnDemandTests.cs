using Millau.Async;

namespace Millau.Tests.Async;

public class OnDemandTests
{
    [Fact]
    public async Task It_is_made_once_and_by_nobody_who_asks()
    {
        var calls = 0;
        using var mayEnd = new ManualResetEventSlim();
        var value = new OnDemand<object>(() =>
        {
            Interlocked.Increment(ref calls);
            mayEnd.Wait();
            return new object();
        });
        Assert.Equal(0, calls);
        using var together = new Barrier(8);
        // Each returns at once, though it is not made yet.
        var asked = await Task.WhenAll(Enumerable.Range(0, together.ParticipantCount).Select(_ => Task.Factory.StartNew(() =>
        {
            together.SignalAndWait();
            return value.GetAsync();
        }, TaskCreationOptions.LongRunning)));
        mayEnd.Set();

        var made = await Task.WhenAll(asked);

        Assert.All(made, m => Assert.Same(made[0], m));
        Assert.Same(made[0], await value.GetAsync());
        Assert.Equal(1, calls);
    }

    [Fact]
    public async Task A_failure_is_for_those_who_wait_and_who_comes_later_tries_anew()
    {
        var calls = 0;
        var value = new OnDemand<int>(() => ++calls == 1 ? throw new IOException("first") : calls);

        await Assert.ThrowsAsync<IOException>(value.GetAsync);

        Assert.Equal(2, await value.GetAsync());
        Assert.Equal(2, await value.GetAsync());
    }
}
