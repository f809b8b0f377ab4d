using Microsoft.Extensions.Time.Testing;
using Millau.Upstreams;

namespace Millau.Tests.Upstreams;

public class RetryBudgetTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly RetryBudget _budget;

    public RetryBudgetTests() => _budget = new RetryBudget(_time);

    [Theory]
    [InlineData(0, 3)]
    [InlineData(10, 3)]
    [InlineData(15, 3)]
    [InlineData(20, 4)]
    [InlineData(100, 20)]
    public void A_fifth_of_what_is_in_flight_may_be_repeated_and_three_at_least(int inFlight, int turns)
    {
        for (var i = 0; i < inFlight; i++) _budget.Begin();

        for (var i = 0; i < turns; i++) Assert.True(_budget.TryTake());
        Assert.False(_budget.TryTake());

        _budget.Return();
        Assert.True(_budget.TryTake());
    }

    [Fact]
    public async Task Who_waits_gets_the_turn_that_is_given_back_in_the_order_of_coming()
    {
        for (var i = 0; i < 3; i++) _budget.TryTake();
        var first = _budget.TakeAsync(default).AsTask();
        var second = _budget.TakeAsync(default).AsTask();
        Assert.False(first.IsCompleted);

        _budget.Return();
        Assert.True(await first);
        Assert.False(second.IsCompleted);
        Assert.False(_budget.TryTake());
        _budget.Return();
        Assert.True(await second);
        Assert.Equal(3, _budget.Repeated);
    }

    [Fact]
    public async Task Who_waits_too_long_goes_without_and_keeps_nobody_from_the_next_turn()
    {
        for (var i = 0; i < 3; i++) _budget.TryTake();
        var waiting = _budget.TakeAsync(default).AsTask();

        _time.Advance(RetryBudget.MaxWait);

        Assert.False(await waiting);
        _budget.Return();
        Assert.Equal(2, _budget.Repeated);
        Assert.True(_budget.TryTake());
    }

    [Fact]
    public async Task A_client_that_goes_waits_no_longer()
    {
        for (var i = 0; i < 3; i++) _budget.TryTake();
        using var gone = new CancellationTokenSource();
        var waiting = _budget.TakeAsync(gone.Token).AsTask();

        await gone.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        for (var i = 0; i < 3; i++) _budget.Return();
        Assert.Equal(0, _budget.Repeated);
    }
}
