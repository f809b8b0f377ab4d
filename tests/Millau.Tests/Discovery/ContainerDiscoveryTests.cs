using Millau.Demo;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class ContainerDiscoveryTests
{
    [Fact]
    public async Task A_container_is_routed_on_its_start_and_gone_with_its_end()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        var web = engine.AddContainer("web");
        await run.Until(_ => run.InstancesOf("web") is [{ Phase: InstancePhase.Running, Epoch: 1 }], "started");
        Assert.Equal("127.0.0.9:80", run.InstancesOf("web")[0].EndPoint.ToString());

        engine.Emit("container", "kill", web.Id, ("signal", "15"));
        await run.Until(_ => run.InstancesOf("web") is [{ Phase: InstancePhase.Closing }], "told to stop");
        engine.Change(_ => web.State = "exited");
        engine.Emit("container", "die", web.Id);
        await run.Until(_ => run.Find("web") is { Instances.IsEmpty: true }, "known but down");

        engine.Change(_ => web.State = "running");
        engine.Emit("container", "start", web.Id);
        await run.Until(_ => run.InstancesOf("web") is [{ Phase: InstancePhase.Running, Epoch: 2 }], "started again");
    }

    [Theory]
    [InlineData("1", "", false)]
    [InlineData("10", "", false)]
    [InlineData("28", "", false)]
    [InlineData("28", "SIGWINCH", true)]
    [InlineData("3", "", true)]
    [InlineData("9", "", true)]
    public async Task Only_a_signal_that_ends_the_container_takes_it_out(string signal, string stopSignal, bool isStopping)
    {
        await using var engine = await EngineStandIn.StartAsync();
        var web = engine.AddContainer("web", stopSignal: stopSignal);
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        await run.Until(() => engine.OpenStreams == 1, "a stream");
        engine.Emit("container", "kill", web.Id, ("signal", signal));
        // A second container's arrival shows that the first event was dealt with.
        engine.AddContainer("later");
        await run.Until(_ => run.InstancesOf("later").Length == 1, "later");
        if (isStopping)
            await run.Until(_ => run.InstancesOf("web") is [{ Phase: InstancePhase.Closing }], "stops");
        else
            await run.Until(() => signal is not "28" || run.Count($"/containers/{web.Id}/json") == 1, "inspected");
        Assert.Equal(isStopping ? InstancePhase.Closing : InstancePhase.Running, run.InstancesOf("web")[0].Phase);
    }

    [Fact]
    public async Task Health_decides_and_a_recovery_is_a_new_epoch()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        var web = engine.AddContainer("web", health: "starting");
        await run.Until(_ => run.Find("web") is { IsStarting: true, Instances.IsEmpty: true }, "starting");

        engine.Change(_ => web.Health = "healthy");
        engine.Emit("container", "health_status: healthy", web.Id);
        await run.Until(_ => run.Find("web") is { IsStarting: false, Instances: [{ Phase: InstancePhase.Running }] }, "healthy");
        var epoch = run.InstancesOf("web")[0].Epoch;

        engine.Emit("container", "health_status: unhealthy", web.Id);
        await run.Until(_ => run.InstancesOf("web") is [{ Phase: InstancePhase.Stopping }], "unhealthy by its event alone");
        engine.Emit("container", "health_status: healthy", web.Id);
        await run.Until(_ => run.InstancesOf("web") is [{ Phase: InstancePhase.Running }], "healthy again");
        Assert.True(run.InstancesOf("web")[0].Epoch > epoch);
    }

    [Fact]
    public async Task The_container_of_a_swarm_task_is_no_service_but_its_events_count_for_the_task()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var app = engine.AddService("app");
        var task = engine.Tasks[0];
        engine.AddContainer("app.1.x", StandInScript.Enabled(("com.docker.swarm.task.id", task.Id)));
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        Assert.Equal(["app"], run.Catalog.Services.Select(s => s.Name));
        Assert.Single(run.InstancesOf("app"));
        await run.Until(() => engine.OpenStreams == 1, "a stream");
        engine.Emit("container", "kill", task.ContainerId, ("signal", "15"), ("com.docker.swarm.service.id", app.Id));
        await run.Until(_ => run.InstancesOf("app") is [{ Phase: InstancePhase.Closing }], "told to stop");
    }

    [Fact]
    public async Task In_a_container_the_shared_networks_are_those_of_that_container_and_are_read_again_when_they_change()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var shared = new StandInNetwork("net-shared", "shared", "overlay");
        var later = new StandInNetwork("net-later", "later", "overlay");
        var own = engine.AddContainer("millau", [], network: shared);
        engine.AddService("app", 1, network: shared);
        engine.AddService("other", 1, network: later);
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly, own.Id);
        await run.FirstRead();
        Assert.Equal(["app"], run.Catalog.Services.Select(s => s.Name));
        Assert.Single(run.Warnings, w => w == "no shared network service=other its_networks=later reachable_networks=shared");

        await run.Until(() => engine.OpenStreams == 1, "a stream");
        engine.Change(_ => own.Attachments.Add((later, "127.0.0.8")));
        engine.Emit("network", "connect", later.Id, ("container", own.Id));
        await run.Until(_ => run.Find("other") is not null, "the second network");
    }

    [Fact]
    public async Task A_millau_in_a_container_with_host_networking_reaches_the_bridges_like_the_host()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var own = engine.AddContainer("millau", [], networkMode: "host");
        engine.AddContainer("web");
        engine.AddContainer("native", networkMode: "host");
        await using var run = DiscoveryRun.Start(engine, ownContainerId: own.Id);
        await run.FirstRead();
        Assert.Equal("127.0.0.9:80", Assert.Single(run.InstancesOf("web")).EndPoint.ToString());
        Assert.Equal("127.0.0.1:80", Assert.Single(run.InstancesOf("native")).EndPoint.ToString());
    }

    [Fact]
    public async Task Where_the_own_container_cannot_be_inspected_the_own_subnets_decide_and_it_is_said()
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.AddContainer("web");
        await using var run = DiscoveryRun.Start(engine, ownContainerId: new string('0', 64));
        await run.FirstRead();
        // The loopback subnet is everybody's.
        Assert.Single(run.InstancesOf("web"));
        Assert.Contains(run.Warnings, w => w.StartsWith("own networks unknown", StringComparison.Ordinal));
    }
}
