using CsCheck;
using Millau.Http2;

namespace Millau.Tests.Http2;

public class FlowControlTests
{
    [Fact]
    public void What_is_sent_is_taken_from_the_window_and_an_update_gives_it_back()
    {
        var window = new SendWindow(100);
        window.Consume(60);
        window.Consume(40);
        Assert.Equal(0, window.Available);
        Assert.Throws<ArgumentOutOfRangeException>(() => window.Consume(1));
        Assert.True(window.TryIncrease(10));
        Assert.Equal(10, window.Available);
    }

    [Fact]
    public void A_window_of_more_than_31_bits_is_an_error()
    {
        var window = new SendWindow(SendWindow.Default);
        Assert.True(window.TryIncrease(int.MaxValue - 65_535));
        Assert.Equal(int.MaxValue, window.Available);
        Assert.False(window.TryIncrease(1));
        Assert.False(window.TryAdjust(1));
        Assert.Equal(int.MaxValue, window.Available);
    }

    [Fact]
    public void A_smaller_initial_window_may_leave_less_than_nothing()
    {
        var window = new SendWindow(65_535);
        window.Consume(60_000);
        Assert.True(window.TryAdjust(16_384 - 65_535));
        Assert.Equal(-43_616, window.Available);
        Assert.Throws<ArgumentOutOfRangeException>(() => window.Consume(1));
        window.Consume(0);
        Assert.True(window.TryIncrease(43_616));
        Assert.Equal(0, window.Available);
    }

    [Fact]
    public void The_peer_must_not_send_more_than_the_window()
    {
        var window = new ReceiveWindow(100);
        Assert.True(window.TryReceive(100));
        Assert.True(window.TryReceive(0));
        Assert.False(window.TryReceive(1));
        Assert.Equal(0, window.Available);
    }

    [Fact]
    public void An_update_is_due_when_half_of_the_window_was_passed_on()
    {
        var window = new ReceiveWindow(100);
        Assert.True(window.TryReceive(50));
        Assert.Equal(0, window.Release(49));
        Assert.Equal(50, window.Available);
        Assert.Equal(50, window.Release(1));
        Assert.Equal(100, window.Available);
    }

    [Fact]
    public void What_is_free_is_given_at_once_when_the_rest_is_held_by_others()
    {
        var window = new ReceiveWindow(100);
        Assert.True(window.TryReceive(100));
        // Sixty are held by who does not take them; the others must not wait for these.
        Assert.Equal(10, window.Release(10));
        Assert.True(window.TryReceive(10));
        Assert.Equal(40, window.Release(40));
        Assert.Equal(40, window.Available);
    }

    /// <summary>A peer that waits for updates never waits for ever, and the window never exceeds its size.</summary>
    [Fact]
    public void The_window_never_closes_while_all_is_passed_on() =>
        Gen.Select(Gen.Int[1, 200], Gen.Int[1, 100].Array[1, 100]).Sample((size, portions) =>
        {
            var window = new ReceiveWindow(size);
            foreach (var portion in portions)
            {
                var bytes = Math.Min(portion, window.Available);
                Assert.True(bytes > 0 && window.TryReceive(bytes));
                window.Release(bytes);
                Assert.InRange(window.Available, 1, size);
            }
        });
}
