using System.Net;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Routing;
using Millau.Upstreams;

namespace Millau.Tests.Forwarding;

/// <summary>Who gets a request while instances come up.</summary>
public sealed class InstanceSelectorTests : IDisposable
{
    private readonly HookedTime _time = new();
    private readonly UpstreamHeartbeat _heartbeat;
    private readonly UpstreamInstance _old;
    private readonly UpstreamInstance _new;
    private readonly RouteTable _table;

    public InstanceSelectorTests()
    {
        _heartbeat = new UpstreamHeartbeat(_time);
        _old = new UpstreamInstance("1", "old", IPEndPoint.Parse("10.0.0.1:80"), _heartbeat) { IsAccepting = true };
        _new = new UpstreamInstance("2", "new", IPEndPoint.Parse("10.0.0.2:80"), _heartbeat);
        var service = new UpstreamService("app", TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(60), [_old, _new], false);
        foreach (var instance in service.Instances) instance.Service = service;
        _table = RouteTableBuilder.Build(
            new ServiceCatalog([Wire.TestProxy.Service("app")]), [service]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void One_that_is_on_its_way_up_is_named_to_be_waited_for(bool repeatable)
    {
        _old.LeaveOut();
        var triedLeftOut = true;

        Assert.Null(InstanceSelector.Choose(Walk, [], repeatable, ref triedLeftOut, out var group, out var starting));
        Assert.Null(group);
        Assert.Equal("app", starting);
    }

    // Each look at the clock is a moment in which it may happen.
    [Theory]
    [InlineData(true, true)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(false, false)]
    public void One_that_comes_up_while_it_is_looked_for_is_found_or_waited_for(bool repeatable, bool otherIsClosing)
    {
        if (otherIsClosing) _old.Phase = InstancePhase.Closing;
        else _old.LeaveOut();
        for (var moment = 1; moment < 20; moment++)
        {
            _new.IsAccepting = false;
            _time.At(moment, () => _new.IsAccepting = true);
            var triedLeftOut = false;
            // It would be right for what may be sent again, or if it is left out.
            var tried = repeatable || !otherIsClosing ? new List<UpstreamInstance> { _old } : [];

            var chosen = InstanceSelector.Choose(Walk, tried, repeatable, ref triedLeftOut, out _, out var starting);

            if (chosen is null) Assert.Equal("app", starting);
            else Assert.Same(_new, chosen);
        }
    }

    public void Dispose() => _heartbeat.Dispose();

    private RouteWalk Walk => _table.Match("a.test", "/".AsMemory());

    /// <summary>Calls back within one of the looks at the clock.</summary>
    private sealed class HookedTime : TimeProvider
    {
        private Action? _action;
        private int _left;

        public void At(int look, Action action) => (_left, _action) = (look, action);

        public override long GetTimestamp()
        {
            if (_left > 0 && --_left == 0) _action!();
            return base.GetTimestamp();
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }
}
