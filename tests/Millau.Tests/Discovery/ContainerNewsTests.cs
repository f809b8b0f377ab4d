using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class ContainerNewsTests
{
    private readonly ContainerNews _news = new(TimeSpan.FromSeconds(30));

    [Fact]
    public void Without_news_the_lists_hold()
    {
        Assert.Equal(InstancePhase.Running, Judge(0));
        Assert.Equal(InstancePhase.Stopping, _news.Judge("c", InstancePhase.Stopping, At(0)));
        Assert.Equal(0, _news.Epoch("c"));
    }

    [Fact]
    public void A_killed_container_is_closing_then_gone()
    {
        _news.OnKill("c", At(0));
        Assert.Equal(InstancePhase.Closing, Judge(1));
        _news.OnDie("c", At(2));
        Assert.Null(Judge(3));
        // Docker's own order: a kill event may still follow.
        _news.OnKill("c", At(4));
        Assert.Null(Judge(5));
    }

    [Fact]
    public void One_that_survived_its_kill_serves_again_after_thirty_seconds()
    {
        _news.OnKill("c", At(0));
        Assert.Equal(InstancePhase.Closing, Judge(29.9));
        Assert.True(_news.IsAnyInForce(At(30)));
        Assert.Equal(InstancePhase.Running, Judge(30));
        Assert.False(_news.IsAnyInForce(At(33)));
    }

    [Fact]
    public void A_start_clears_all_and_begins_an_epoch()
    {
        _news.OnDie("c", At(0));
        _news.OnStart("c", At(1));
        Assert.Equal(InstancePhase.Running, Judge(1));
        Assert.Equal(1, _news.Epoch("c"));
        _news.OnStart("c", At(2));
        Assert.Equal(2, _news.Epoch("c"));
    }

    [Fact]
    public void Healthy_takes_back_unhealthy_but_not_a_kill()
    {
        _news.OnUnhealthy("c", At(0));
        Assert.Equal(InstancePhase.Stopping, Judge(1));
        _news.OnHealthy("c", At(2));
        Assert.Equal(InstancePhase.Running, Judge(3));
        Assert.Equal(1, _news.Epoch("c"));
        _news.OnKill("c", At(4));
        _news.OnHealthy("c", At(5));
        Assert.Equal(InstancePhase.Closing, Judge(6));
    }

    [Fact]
    public void Unhealthy_takes_nothing_back_from_one_that_is_closing()
    {
        _news.OnUnhealthy("c", At(0));
        Assert.Equal(InstancePhase.Closing, _news.Judge("c", InstancePhase.Closing, At(1)));
    }

    [Fact]
    public void After_a_gap_in_the_events_the_lists_hold_and_epochs_stay()
    {
        _news.OnStart("c", At(0));
        _news.OnDie("c", At(1));
        _news.OnGap();
        Assert.Equal(InstancePhase.Running, Judge(2));
        Assert.Equal(1, _news.Epoch("c"));
    }

    [Fact]
    public void A_start_found_by_reading_counts_once_with_its_event()
    {
        _news.OnStart("c", At(0));
        _news.OnListedAnew("c", At(1));
        Assert.Equal(1, _news.Epoch("c"));
        _news.OnListedAnew("c", At(60));
        Assert.Equal(2, _news.Epoch("c"));
        // The list was ahead of the event.
        _news.OnStart("c", At(61));
        Assert.Equal(2, _news.Epoch("c"));
        _news.OnDie("c", At(62));
        _news.OnStart("c", At(63));
        Assert.Equal(3, _news.Epoch("c"));
    }

    [Fact]
    public void Containers_that_no_list_shows_are_forgotten_in_time()
    {
        _news.OnStart("c", At(0));
        _news.Prune([], At(29));
        Assert.Equal(1, _news.Epoch("c"));
        _news.Prune(["c"], At(31));
        Assert.Equal(1, _news.Epoch("c"));
        _news.Prune([], At(31));
        Assert.Equal(0, _news.Epoch("c"));
    }

    [Fact]
    public void A_sudden_empty_list_is_believed_the_third_time()
    {
        var guard = new EmptyListGuard();
        Assert.True(guard.Believes(0, 0));
        Assert.False(guard.Believes(3, 0));
        Assert.False(guard.Believes(3, 0));
        Assert.True(guard.Believes(3, 3));
        Assert.False(guard.Believes(3, 0));
        Assert.False(guard.Believes(3, 0));
        Assert.True(guard.Believes(3, 0));
    }

    private static TimeSpan At(double seconds) => TimeSpan.FromSeconds(seconds);

    private InstancePhase? Judge(double seconds) => _news.Judge("c", InstancePhase.Running, At(seconds));
}
