using System.Net;
using Microsoft.Extensions.Time.Testing;
using Millau.Discovery;
using Millau.Upstreams;

namespace Millau.Tests.Upstreams;

public sealed class UpstreamGroupTests : IDisposable
{
    private static readonly List<UpstreamInstance> None = [];

    private readonly FakeTimeProvider _time = new();
    private readonly UpstreamHeartbeat _heartbeat;

    public UpstreamGroupTests() => _heartbeat = new UpstreamHeartbeat(_time);

    [Fact]
    public void Each_instance_of_each_service_gets_the_same_share()
    {
        var group = new UpstreamGroup([Service("blue", 2), Service("green", 1)]);

        Assert.Equal([100, 100, 100], Shares(group, 300));
    }

    [Fact]
    public void A_group_made_anew_goes_on_where_the_one_before_it_stood()
    {
        var service = Service("app", 3);
        var picks = new List<UpstreamInstance>();

        for (var i = 0; i < 6; i++) picks.Add(new UpstreamGroup([service]).Pick(None)!);

        Assert.Equal([.. service.Instances, .. service.Instances], picks);
    }

    [Fact]
    public void The_share_of_one_that_is_out_is_spread_evenly()
    {
        var service = Service("app", 4);
        var group = new UpstreamGroup([service]);
        service.Instances[1].LeaveOut();

        Assert.Equal([100, 0, 100, 100], Shares(group, 300));
    }

    [Fact]
    public void One_that_stops_gets_nothing_while_another_is_ready()
    {
        var service = Service("app", 3);
        var group = new UpstreamGroup([service]);
        service.Instances[0].Phase = InstancePhase.Stopping;

        Assert.Equal([0, 50, 50], Shares(group, 100));
        service.Instances[1].LeaveOut();
        service.Instances[2].LeaveOut();
        Assert.Equal([100, 0, 0], Shares(group, 100));
    }

    [Fact]
    public void One_that_is_closing_is_picked_only_as_such()
    {
        var service = Service("app", 2);
        var group = new UpstreamGroup([service]);
        service.Instances[0].Phase = InstancePhase.Closing;
        service.Instances[1].LeaveOut();

        Assert.Null(group.Pick(None));
        Assert.Same(service.Instances[1], group.PickLeftOut(None));
        Assert.Same(service.Instances[0], group.PickClosing(None));
        Assert.Null(group.PickClosing([service.Instances[0]]));
    }

    [Fact]
    public void Those_that_were_tried_are_not_picked_again()
    {
        var service = Service("app", 3);
        var group = new UpstreamGroup([service]);
        var tried = new List<UpstreamInstance>();

        for (var i = 0; i < 3; i++)
        {
            var picked = group.Pick(tried);
            Assert.NotNull(picked);
            Assert.DoesNotContain(picked, tried);
            tried.Add(picked);
        }

        Assert.Null(group.Pick(tried));
        Assert.Null(group.PickLeftOut(tried));
    }

    [Fact]
    public void Of_those_left_out_the_one_that_waited_longest_comes_first()
    {
        var service = Service("app", 3);
        var group = new UpstreamGroup([service]);
        foreach (var i in new[] { 2, 0, 1 })
        {
            service.Instances[i].LeaveOut();
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Null(group.Pick(None));
        Assert.Same(service.Instances[2], group.PickLeftOut(None));
        Assert.Same(service.Instances[0], group.PickLeftOut([service.Instances[2]]));
    }

    [Fact]
    public void The_period_of_leaving_out_ends_by_itself_or_by_news()
    {
        var service = Service("app", 1);
        var group = new UpstreamGroup([service]);
        Assert.True(service.Instances[0].LeaveOut());
        Assert.False(service.Instances[0].LeaveOut());
        _time.Advance(TimeSpan.FromSeconds(59.9));
        Assert.Null(group.Pick(None));
        _time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.NotNull(group.Pick(None));

        service.Instances[0].LeaveOut();
        service.Instances[0].Readmit();
        Assert.NotNull(group.Pick(None));
    }

    [Fact]
    public void One_on_its_way_up_is_waited_for_for_half_a_minute()
    {
        var service = Service("app", 1, accepting: false);
        var group = new UpstreamGroup([service]);

        Assert.True(group.IsStarting);
        Assert.Null(group.Pick(None));
        Assert.Null(group.PickLeftOut(None));
        _time.Advance(TimeSpan.FromSeconds(31));
        Assert.False(group.IsStarting);
        Assert.NotNull(group.PickLeftOut(None));

        service.Instances[0].Restart();
        Assert.True(group.IsStarting);
    }

    [Fact]
    public void One_that_is_gone_is_never_picked()
    {
        var service = Service("app", 1);
        var group = new UpstreamGroup([service]);
        service.Instances[0].Retire();

        Assert.Null(group.Pick(None));
        Assert.Null(group.PickLeftOut(None));
        Assert.False(group.IsStarting);
    }

    [Fact]
    public void A_group_without_instances_has_nobody()
    {
        var group = new UpstreamGroup([Service("app", 0)]);

        Assert.Null(group.Pick(None));
        Assert.Null(group.PickLeftOut(None));
    }

    public void Dispose() => _heartbeat.Dispose();

    private UpstreamService Service(string name, int count, bool accepting = true)
    {
        var service = new UpstreamService(
            name, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(60),
            [.. Enumerable.Range(0, count).Select(i => new UpstreamInstance($"{name}.{i}", $"{name}-{i}", new IPEndPoint(IPAddress.Loopback, 1), _heartbeat))],
            false);
        foreach (var instance in service.Instances)
        {
            instance.Service = service;
            instance.Phase = InstancePhase.Running;
            instance.IsAccepting = accepting;
        }
        return service;
    }

    private static int[] Shares(UpstreamGroup group, int requests)
    {
        var all = group.Services.SelectMany(s => s.Instances).ToList();
        var shares = new int[all.Count];
        for (var i = 0; i < requests; i++) shares[all.IndexOf(group.Pick(None)!)]++;
        return shares;
    }
}
