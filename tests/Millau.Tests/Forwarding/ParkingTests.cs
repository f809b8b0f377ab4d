using Microsoft.Extensions.Time.Testing;
using Millau.Forwarding;
using Millau.Tests.Wire;
using Millau.Upstreams;

namespace Millau.Tests.Forwarding;

public class ParkingTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly Availability _availability = new();
    private readonly Parking _parking;

    public ParkingTests() => _parking = new Parking(_availability, _time);

    [Fact]
    public void A_service_has_places_for_a_thousand_requests()
    {
        var tickets = Enumerable.Range(0, Parking.MaxRequests).Select(_ => _parking.TryEnter("a", 0)).ToList();

        Assert.DoesNotContain(null, tickets);
        Assert.Null(_parking.TryEnter("a", 0));
        Assert.NotNull(_parking.TryEnter("b", 0));
        tickets[7]!.Dispose();
        Assert.NotNull(_parking.TryEnter("a", 0));
    }

    [Fact]
    public void A_service_has_room_for_64_MiB_of_bodies()
    {
        var half = _parking.TryEnter("a", Parking.MaxBytes / 2);
        var rest = _parking.TryEnter("a", Parking.MaxBytes / 2);

        Assert.NotNull(half);
        Assert.NotNull(rest);
        Assert.Null(_parking.TryEnter("a", 1));
        half.Dispose();
        Assert.NotNull(_parking.TryEnter("a", Parking.MaxBytes / 2));
        Assert.Null(_parking.TryEnter("a", 1));
    }

    [Fact]
    public void What_leaves_is_forgotten()
    {
        for (var i = 0; i < 3 * Parking.MaxRequests; i++) _parking.TryEnter("a", Parking.MaxBytes)!.Dispose();

        Assert.Equal(0, _parking.Count);
    }

    [Fact]
    public async Task First_come_is_first_served_also_by_those_who_woke_for_nothing()
    {
        var tickets = Enumerable.Range(0, 5).Select(_ => _parking.TryEnter("a", 0)!).ToArray();
        // They begin to wait in another order than they came in.
        var waits = new ValueTask<bool>[tickets.Length];
        foreach (var i in new[] { 3, 0, 4, 2, 1 }) waits[i] = tickets[i].WaitAsync(_availability.Version, default);

        Assert.All(waits, wait => Assert.False(wait.IsCompleted));
        _availability.Change();

        foreach (var wait in waits) Assert.True(await wait);
        Assert.Equal([1, 2, 3, 4, 5], tickets.Select(t => t.Number));
    }

    [Fact]
    public async Task A_change_between_look_and_wait_is_not_missed()
    {
        var seen = _availability.Version;
        _availability.Change();

        Assert.True(await _parking.TryEnter("a", 0)!.WaitAsync(seen, default));
    }

    [Fact]
    public async Task Ten_seconds_are_the_longest_wait_in_all()
    {
        var ticket = _parking.TryEnter("a", 0)!;
        var first = ticket.WaitAsync(_availability.Version, default);
        _time.Advance(TimeSpan.FromSeconds(6));
        _availability.Change();
        Assert.True(await first);

        var second = ticket.WaitAsync(_availability.Version, default).AsTask();
        _time.Advance(TimeSpan.FromSeconds(3.9));
        Assert.False(second.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(0.2));

        Assert.False(await second.WaitAsync(ScriptedConnection.Deadline));
        Assert.False(await ticket.WaitAsync(_availability.Version, default));
    }

    [Fact]
    public async Task A_client_that_goes_ends_its_wait()
    {
        using var gone = new CancellationTokenSource();
        using var ticket = _parking.TryEnter("a", 0)!;
        var wait = ticket.WaitAsync(_availability.Version, gone.Token).AsTask();

        await gone.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait.WaitAsync(ScriptedConnection.Deadline));
    }
}
