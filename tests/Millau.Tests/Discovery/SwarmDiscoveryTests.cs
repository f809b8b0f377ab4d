using Millau.Demo;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class SwarmDiscoveryTests
{
    [Fact]
    public async Task A_service_that_exists_at_start_is_found_with_its_instances()
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.AddService("app", 2, StandInScript.Enabled(
            ("millau.port", "8080"), ("millau.hosts", "One.com two.com"), ("millau.path", "/api/"),
            ("millau.timeout", "5"), ("millau.retry", "7")));
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();

        var app = Assert.Single(run.Catalog.Services);
        Assert.Equal("app", app.Name);
        Assert.Equal(["one.com", "two.com"], app.Hosts);
        Assert.Equal("/api/", app.Path);
        Assert.Equal(TimeSpan.FromSeconds(5), app.Timeout);
        Assert.Equal(TimeSpan.FromSeconds(7), app.Retry);
        Assert.False(app.IsStarting);
        Assert.Equal(["127.0.0.2:8080", "127.0.0.3:8080"], app.Instances.Select(i => i.EndPoint.ToString()));
        Assert.Equal(["app.1.task2", "app.2.task4"], app.Instances.Select(i => i.Name));
        Assert.All(app.Instances, i => Assert.Equal(InstancePhase.Running, i.Phase));
        Assert.Contains(run.Lines, l => l.Text ==
            "service app routed: hosts=one.com,two.com path=/api/ port=8080 timeout=5s retry=7s instances=2");
    }

    [Fact]
    public async Task A_unix_socket_serves_as_well_as_tcp()
    {
        var path = Path.Combine(Path.GetTempPath(), $"millau-{Guid.NewGuid():N}.sock");
        await using (var engine = await EngineStandIn.StartAsync(path))
        {
            engine.AddService("app");
            await using var run = DiscoveryRun.Start(engine);
            await run.FirstRead();
            Assert.Single(run.InstancesOf("app"));
            Assert.True(run.Health.IsReachable);
        }

        File.Delete(path);
    }

    [Fact]
    public async Task A_created_service_is_told_by_its_event()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        engine.AddService("app", 3);
        await run.Until(_ => run.InstancesOf("app").Length == 3, "three instances");
    }

    [Fact]
    public async Task Silent_task_changes_are_followed_until_they_settle()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var app = engine.AddService("app", 1);
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();

        // Scaled up: one event, then the new task moves without any.
        engine.Update(app, () => app.Replicas = 2);
        var task = engine.AddTask(app, 2, state: "preparing");
        await run.Until(_ => run.Find("app")!.IsStarting, "on its way up");
        Assert.Single(run.InstancesOf("app"));
        engine.Change(_ => task.State = "running");
        await run.Until(_ => run.InstancesOf("app").Length == 2 && !run.Find("app")!.IsStarting, "both running");

        // Settled: the tasks are left alone.
        await run.Until(() => run.Catalogs.Count > 0, "a catalog");
        var quiet = 0;
        var last = engine.Requests.Count;
        for (var i = 0; i < 400 && quiet < 40; i++)
        {
            await Task.Delay(10);
            quiet = engine.Requests.Count == last ? quiet + 1 : 0;
            last = engine.Requests.Count;
        }

        Assert.Equal(40, quiet);
    }

    [Fact]
    public async Task A_task_that_is_to_stop_is_a_last_resort_until_it_is_gone()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var app = engine.AddService("app", 2);
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();

        engine.Update(app, () =>
        {
            app.Replicas = 1;
            engine.Tasks[1].DesiredState = "remove";
        });
        await run.Until(_ => run.InstancesOf("app") is [{ Phase: InstancePhase.Running }, { Phase: InstancePhase.Stopping }],
            "the second one stops");
        engine.Change(e => e.Tasks[1].State = "shutdown");
        await run.Until(_ => run.InstancesOf("app").Length == 1, "the second one is gone");
    }

    [Fact]
    public async Task A_removed_service_stays_known_but_down_while_its_tasks_still_serve()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var app = engine.AddService("app");
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();

        engine.Change(e => e.Services.Remove(app));
        engine.Emit("service", "remove", app.Id);
        await run.Until(_ => run.InstancesOf("app") is [{ Phase: InstancePhase.Stopping }], "its task is a last resort");
        engine.Change(e => e.Tasks.Clear());
        await run.Until(_ => run.Find("app") is { Instances.IsEmpty: true }, "known but down");
        await run.UntilReadAgain();
        Assert.NotNull(run.Find("app"));
        Assert.Single(run.Lines, l => l.Text == "service app removed: known but down for now");
    }

    [Fact]
    public async Task A_service_scaled_to_nothing_is_known_but_down()
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.AddService("app", 0);
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        await run.Until(_ => run.Find("app") is { Instances.IsEmpty: true, IsStarting: false }, "down");
    }
}
