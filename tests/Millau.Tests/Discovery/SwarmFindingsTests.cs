using Microsoft.Extensions.Logging.Abstractions;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

/// <summary>When a finding is the one of before, and when it is another.</summary>
public sealed class SwarmFindingsTests : IDisposable
{
    private readonly EngineClient _engine = new(EngineEndpoint.LocalSocket, new DiscoveryTiming(), TimeProvider.System);
    private readonly ContainerNews _news = new(TimeSpan.FromSeconds(30));
    private readonly SwarmFindings _findings = new();
    private readonly ContainerWatcher _containers;
    private readonly SwarmFindings.Source _source = new("s1", Service(), [Running("t1", "c1"), Running("t2", "c2")], false, false);

    public SwarmFindingsTests() => _containers = new ContainerWatcher(_engine, new DiscoveryTiming(), NullLogger.Instance);

    public void Dispose() => _engine.Dispose();

    [Fact]
    public void A_finding_is_the_same_object_while_nothing_changes()
    {
        List(Container("c1"));
        var found = _findings.Of(_source, _containers);

        Assert.Equal(("app", "t1 t2"), (found.Name, string.Join(' ', found.Instances.Select(i => i.Id))));
        Assert.Same(found, _findings.Of(_source with { }, _containers));
    }

    [Fact]
    public void To_be_asked_again_of_what_did_not_change_costs_no_memory()
    {
        List(Container("c1"));
        _findings.Of(_source, _containers);
        _findings.Of(_source, _containers);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++) _findings.Of(_source, _containers);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Another_service_is_another_finding() => IsAnother(_source with { Service = Service() });

    [Fact]
    public void Other_tasks_are_another_finding() =>
        Assert.Equal("t3", Assert.Single(IsAnother(_source with { Tasks = [Running("t3", "c3")] }).Instances).Id);

    [Fact]
    public void A_service_that_was_removed_is_another_finding() => Assert.True(IsAnother(_source with { IsRemoved = true }).IsRemoved);

    [Fact]
    public void A_service_whose_tasks_are_awaited_is_another_finding() =>
        Assert.True(IsAnother(_source with { IsAwaited = true }).IsStarting);

    [Fact]
    public void A_container_that_comes_changes_or_goes_makes_another_finding_of_its_service_alone()
    {
        var other = _source with { Id = "s2", Tasks = [Running("t9", "c9")] };
        var unconcerned = _findings.Of(other, _containers);
        var before = _findings.Of(_source, _containers);
        Assert.Empty(before.ExposedPorts);

        List(Container("c1"));
        var come = Next(before);
        Assert.Equal([8080], come.ExposedPorts);
        List(Container("c1", 9090));
        var changed = Next(come);
        Assert.Equal([9090], changed.ExposedPorts);
        List(Container("c8"));
        Assert.Empty(Next(changed).ExposedPorts);

        Assert.Same(unconcerned, _findings.Of(other, _containers));

        FoundService Next(FoundService last)
        {
            var next = _findings.Of(_source, _containers);
            Assert.NotSame(last, next);
            Assert.Same(next, _findings.Of(_source, _containers));
            return next;
        }
    }

    [Fact]
    public void What_is_not_kept_is_forgotten()
    {
        var other = _source with { Id = "s2" };
        var (kept, forgotten) = (_findings.Of(_source, _containers), _findings.Of(other, _containers));

        _findings.Keep(id => id == "s1");

        Assert.Same(kept, _findings.Of(_source, _containers));
        Assert.NotSame(forgotten, _findings.Of(other, _containers));
    }

    /// <summary>What is found then; it stays the same in its turn.</summary>
    private FoundService IsAnother(in SwarmFindings.Source changed)
    {
        var before = _findings.Of(_source, _containers);
        var after = _findings.Of(changed, _containers);
        Assert.NotSame(before, after);
        Assert.Same(after, _findings.Of(changed, _containers));
        return after;
    }

    private void List(params List<ContainerModel?> containers) =>
        _containers.Apply(containers, _news, TimeSpan.Zero, TimeSpan.Zero);

    private static ServiceModel Service() => new("s1", null, new("app", null, null, null), null, null);

    private static TaskModel Running(string id, string containerId) =>
        new(id, "s1", 1, "n1", "running", new("running", null, new(containerId)), null);

    private static ContainerModel Container(string id, int port = 8080) => new(id, null, null, "running", null, 0, null, null, null)
    {
        Ports = [new(port, "tcp")],
    };
}
