using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class FollowListTests
{
    private static readonly DiscoveryTiming Timing = new();

    [Fact]
    public void A_service_is_followed_from_its_event_until_it_settled_and_no_shorter_than_two_seconds()
    {
        var list = new FollowList(Timing);
        list.OnEvent("a", Seconds(0));
        Assert.Equal(["a"], list.Active());
        list.OnRead("a", isSettled: true, isUpdating: false, Seconds(1));
        Assert.True(list.IsActive("a"));
        list.OnRead("a", isSettled: false, isUpdating: false, Seconds(3));
        Assert.True(list.IsActive("a"));
        list.OnRead("a", isSettled: true, isUpdating: false, Seconds(4));
        Assert.False(list.IsAnyActive);
    }

    [Fact]
    public void One_that_never_settles_is_followed_for_a_twentieth_of_the_time()
    {
        var list = new FollowList(Timing);
        list.OnEvent("a", Seconds(0));
        var reads = 0;
        // A quarter of a second between reads while it is followed, two seconds otherwise, for an hour.
        for (double now = 0; now < 3600; now += list.IsActive("a") ? 0.25 : 2)
        {
            if (list.IsActive("a"))
            {
                reads++;
                list.OnRead("a", isSettled: false, isUpdating: false, Seconds(now));
            }
            else
            {
                list.OnHint("a", Seconds(now));
            }
        }

        // 30 s at first, then at most 5 % of an hour.
        Assert.InRange(reads, 120, (30 + 180) * 4 + 50);
    }

    [Fact]
    public void An_update_in_progress_is_followed_for_ten_minutes()
    {
        var list = new FollowList(Timing);
        list.OnEvent("a", Seconds(0));
        for (double now = 0; now < 590; now += 0.25)
            list.OnRead("a", isSettled: false, isUpdating: true, Seconds(now));
        Assert.True(list.IsActive("a"));
        for (double now = 590; now < 610; now += 0.25)
            list.OnRead("a", isSettled: false, isUpdating: true, Seconds(now));
        Assert.False(list.IsActive("a"));
    }

    [Fact]
    public void A_new_event_gives_the_full_budget_back()
    {
        var list = new FollowList(Timing);
        list.OnEvent("a", Seconds(0));
        list.OnRead("a", isSettled: false, isUpdating: false, Seconds(31));
        Assert.False(list.IsActive("a"));
        list.OnHint("a", Seconds(32));
        Assert.False(list.IsActive("a"));
        list.OnEvent("a", Seconds(33));
        Assert.True(list.IsActive("a"));
        list.OnRead("a", isSettled: false, isUpdating: false, Seconds(60));
        Assert.True(list.IsActive("a"));
    }

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);
}
