using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
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
            "service routed service=app hosts=one.com,two.com path=/api/ port=8080 timeout=5s retry=7s instances=2");
    }

    [Fact]
    public async Task A_catalog_that_could_not_be_taken_over_is_offered_again()
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.AddService("app");
        Assert.True(EngineEndpoint.TryParse(engine.DockerHost, null, null, out var endpoint, out var error), error);
        var taken = new TaskCompletionSource<ServiceCatalog>();
        var offers = 0;
        using var discovery = new DockerDiscovery(
            new DiscoveryOptions { Endpoint = endpoint!, Timing = DiscoveryRun.Quick }, NullLogger.Instance, TimeProvider.System, catalog =>
            {
                if (++offers == 1) throw new InvalidOperationException();
                taken.TrySetResult(catalog);
            });
        using var stop = new CancellationTokenSource();

        var running = Task.Run(() => discovery.RunAsync(stop.Token));
        var catalog = await taken.Task.WaitAsync(TimeSpan.FromSeconds(30));
        await stop.CancelAsync();
        await running;

        Assert.Equal("app", Assert.Single(catalog.Services).Name);
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

        await run.UntilQuiet();
    }

    [Fact]
    public async Task Events_of_a_service_that_is_not_routed_keep_nobody_busy()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        var plain = engine.AddService("plain", 1, []);
        engine.Update(plain, () => plain.Replicas = 2);
        await run.Until(() => run.Catalog.Seen is [{ RoutedAs: null }], "found");
        await run.UntilQuiet();
        Assert.Equal(0, engine.Requests.Count(r => r.Contains("/tasks", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_service_just_created_is_starting_for_a_moment_though_no_task_is_shown()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        var service = new StandInService("svc", "app") { Labels = StandInScript.Enabled(), Replicas = 1 };
        engine.Change(e => e.Services.Add(service));
        engine.Emit("service", "create", service.Id);
        await run.Until(_ => run.Find("app") is { IsStarting: true, Instances.IsEmpty: true }, "awaited");
        await run.Until(_ => run.Find("app") is { IsStarting: false }, "no longer awaited");
    }

    [Fact]
    public async Task A_drained_node_s_tasks_are_followed_from_the_node_s_event()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var app = engine.AddService("app", 2);
        engine.Tasks[1].NodeId = "node2";
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        await run.UntilQuiet();
        engine.Emit("node", "update", "node2");
        engine.Change(e => e.Tasks[1].DesiredState = "shutdown");
        await run.Until(_ => run.InstancesOf("app") is [_, { Phase: InstancePhase.Stopping }], "drained");
        engine.Change(e => e.Tasks[1].State = "shutdown");
        engine.AddTask(app, 3);
        await run.Until(_ => run.InstancesOf("app").Length == 2
            && run.InstancesOf("app").All(i => i.Phase == InstancePhase.Running), "moved");
    }

    [Fact]
    public async Task A_label_change_takes_effect_and_a_wrong_one_leaves_the_routing_as_it_is()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var app = engine.AddService("app");
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        await run.Until(() => engine.OpenStreams == 1, "a stream");
        engine.Update(app, () => app.Labels["millau.path"] = "/api/");
        await run.Until(_ => run.Find("app")!.Path == "/api/", "changed");
        engine.Update(app, () => app.Labels["millau.path"] = "api");
        await run.Until(() => run.Warnings.Any(w => w.Contains("label=millau.path value=\"api\"", StringComparison.Ordinal)), "said");
        Assert.Equal("/api/", run.Find("app")!.Path);
    }

    [Fact]
    public async Task Two_hundred_services_are_asked_for_in_one_list_and_a_burst_of_events_in_few()
    {
        await using var engine = await EngineStandIn.StartAsync();
        for (var i = 0; i < 200; i++)
            engine.AddService($"app{i}", 2);
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        Assert.Equal(200, run.Catalog.Services.Length);
        Assert.Equal(1, run.Count("/tasks"));
        await run.Until(() => engine.OpenStreams == 1, "a stream");
        await run.UntilQuiet();
        var before = ReadsOfServices();
        foreach (var service in engine.Services)
            engine.Update(service, () => service.Labels["millau.path"] = "/new");
        await run.Until(c => c.Services.All(s => s.Path == "/new"), "all changed");
        Assert.InRange(ReadsOfServices() - before, 1, 20);

        int ReadsOfServices() => engine.Requests.Count(r => r.Contains("/services", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_change_of_one_service_among_many_is_asked_for_alone()
    {
        await using var engine = await EngineStandIn.StartAsync();
        for (var i = 0; i < 30; i++)
            engine.AddService($"app{i}", 2);
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        await run.Until(() => engine.OpenStreams == 1, "a stream");
        await run.UntilQuiet();
        var (services, tasks, catalogs) = (run.Count("/services"), run.Count("/tasks"), run.Catalogs.Count);

        engine.Update(engine.Services[7], () => engine.Services[7].Labels["millau.path"] = "/new");
        await run.Until(_ => run.Find("app7")!.Path == "/new", "changed");
        await run.UntilQuiet();

        Assert.Equal((services, tasks), (run.Count("/services"), run.Count("/tasks")));
        Assert.Equal(catalogs + 1, run.Catalogs.Count);
        Assert.Equal(2, run.InstancesOf("app7").Length);
        Assert.Equal(30, run.Catalog.Services.Length);
    }

    [Fact]
    public async Task A_change_does_not_wait_because_all_took_long_to_read()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var app = engine.AddService("app", 0);
        engine.Fault("/services", async context =>
        {
            // Only all of them take long.
            if (!context.Request.Query.ContainsKey("filters"))
                await Task.Delay(TimeSpan.FromSeconds(2), context.RequestAborted);
            await EngineStandIn.Body("application/json", $"[{app.ToJson().ToJsonString()}]")(context);
        });
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();

        var clock = Stopwatch.StartNew();
        engine.Update(app, () => app.Labels["millau.path"] = "/new");
        await run.Until(_ => run.Find("app")!.Path == "/new", "changed");

        // Four times what the read took.
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(6));
    }

    [Fact]
    public async Task A_service_that_its_own_list_does_not_show_any_more_is_looked_for_in_the_whole_one()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var app = engine.AddService("app", 0);
        engine.AddService("other");
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        await run.Until(() => engine.OpenStreams == 1, "a stream");
        await run.UntilQuiet();
        var before = run.Count("/services");

        engine.Change(e => e.Services.Remove(app));
        engine.Emit("service", "remove", app.Id);

        await run.Until(_ => run.Find("app") is { IsRemoved: true }, "removed");
        Assert.InRange(run.Count("/services") - before, 1, 2);
        Assert.Single(run.InstancesOf("other"));
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
        Assert.Single(run.Lines, l => l.Text == "service removed, known but down for now service=app");
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
