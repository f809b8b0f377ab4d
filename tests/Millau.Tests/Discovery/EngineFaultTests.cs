using Millau.Demo;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

/// <summary>What an Engine, or a proxy before it, may do wrong: the last good routes stay, and all is current after it.</summary>
public class EngineFaultTests
{
    [Fact]
    public async Task An_engine_that_comes_late_is_found_and_until_then_discovery_is_unhealthy()
    {
        var engine = await EngineStandIn.StartAsync();
        engine.AddService("app");
        await engine.StopAsync();
        await using var run = DiscoveryRun.Start(engine);
        await run.Until(() => run.Warnings.Any(w => w.StartsWith("engine unreachable", StringComparison.Ordinal)), "said");
        Assert.False(run.Health.IsReachable);
        Assert.Null(run.Health.LastRead);
        Assert.Contains("/_ping", run.Health.LastError, StringComparison.Ordinal);
        Assert.Empty(run.Catalogs);

        await engine.RestartAsync();
        await run.FirstRead();
        Assert.Single(run.InstancesOf("app"));
        Assert.True(run.Health.IsReachable);
        Assert.NotNull(run.Health.LastRead);
        Assert.Equal("", run.Health.LastError);
        await engine.DisposeAsync();
    }

    [Fact]
    public async Task A_restarted_engine_is_read_anew_and_routes_stay_meanwhile()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var app = engine.AddService("app", 2);
        engine.AddContainer("plain");
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        var published = run.Catalogs.Count;

        await engine.StopAsync();
        await run.Until(() => !run.Health.IsReachable, "unhealthy");
        Assert.Equal(published, run.Catalogs.Count);
        Assert.Equal(2, run.InstancesOf("app").Length);

        engine.Change(e => e.Tasks.RemoveAt(0));
        engine.ApiVersion = new Version(1, 48);
        await engine.RestartAsync();
        await run.Until(_ => run.InstancesOf("app").Length == 1, "current again");
        await run.Until(() => run.Health.IsReachable, "healthy");
        Assert.Contains(run.Lines, l => l.Text.Contains("api=1.48", StringComparison.Ordinal));
        Assert.Single(run.Warnings, w => w.StartsWith("engine unreachable", StringComparison.Ordinal));
        // An Engine that was gone may have started its containers anew, under their old ids.
        Assert.Equal(1, run.InstancesOf("plain")[0].Epoch);
    }

    [Fact]
    public async Task A_lost_event_stream_is_opened_again_and_everything_is_read()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var app = engine.AddService("app");
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.EventsOnly);
        await run.FirstRead();
        for (var round = 2; round <= 4; round++)
        {
            await run.Until(() => engine.OpenStreams == 1, "a stream");
            engine.IsSilent = true;
            engine.AddTask(app, round);
            engine.IsSilent = false;
            engine.DropStreams();
            await run.Until(_ => run.InstancesOf("app").Length == round, $"instance {round}, which no event told of");
            Assert.True(run.Health.IsReachable);
        }
    }

    [Theory]
    [InlineData("/services")]
    [InlineData("/tasks")]
    [InlineData("/containers/json")]
    public async Task An_answer_that_makes_no_sense_loses_nothing_and_is_said_once(string path)
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.AddService("app");
        engine.AddContainer("plain");
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        var published = run.Catalogs.Count;

        engine.Fault(path, EngineStandIn.Body("text/html", "<html>maintenance</html>"));
        await run.Until(() => Stale(run, path) == 1, "said");
        engine.Fault(path, EngineStandIn.Body("application/json", "[{\"ID\":\"x\",\"Id\":\"x\""));
        await run.Until(() => Stale(run, path) == 2, "half a JSON said");
        engine.Fault(path, EngineStandIn.Status(500, "rpc error: no leader"));
        await run.Until(() => Stale(run, path) == 3, "a 500 said");
        await run.UntilReadAgain(path == "/containers/json" ? "/services" : "/containers/json?all=1");
        Assert.Equal(3, Stale(run, path));
        Assert.Equal(published, run.Catalogs.Count);
        Assert.True(run.Health.IsReachable);
        Assert.Contains(path, run.Health.LastError, StringComparison.Ordinal);

        engine.Fault(path, null);
        await run.Until(() => run.Health.LastError.Length == 0, "read again");
        Assert.Equal(published, run.Catalogs.Count);

        static int Stale(DiscoveryRun run, string path) =>
            run.Warnings.Count(w => w.Contains("last known state stays", StringComparison.Ordinal)
                                    && w.Contains(path, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_swarm_without_quorum_hangs_but_containers_and_their_events_go_on()
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.AddService("app");
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        engine.Fault("/services", EngineStandIn.Hang());
        engine.Fault("/networks", EngineStandIn.Hang());
        await run.Until(() => run.Health.LastError.Contains("/services", StringComparison.Ordinal), "timed out");
        Assert.True(run.Health.IsReachable);
        Assert.Single(run.InstancesOf("app"));
        engine.AddContainer("plain");
        await run.Until(_ => run.InstancesOf("plain").Length == 1, "a container");

        // An event takes effect while the read hangs.
        engine.Emit("container", "die", engine.Tasks[0].ContainerId);
        await run.Until(_ => run.InstancesOf("app").IsEmpty, "its container died");
    }

    [Fact]
    public async Task An_engine_that_hangs_altogether_is_unhealthy_and_found_again()
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.AddService("app");
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        foreach (var path in new[] { "/_ping", "/services", "/tasks", "/containers/json", "/networks", "/events" })
            engine.Fault(path, EngineStandIn.Hang());
        await run.Until(() => !run.Health.IsReachable, "unhealthy");
        Assert.Single(run.InstancesOf("app"));
        foreach (var path in new[] { "/_ping", "/services", "/tasks", "/containers/json", "/networks", "/events" })
            engine.Fault(path, null);
        await run.Until(() => run.Health is { IsReachable: true, LastError: "" }, "healthy");
    }

    [Fact]
    public async Task A_sudden_empty_list_is_read_twice_again_before_it_is_believed()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var app = engine.AddService("app");
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        var published = run.Catalogs.Count;

        var answers = 0;
        engine.Fault("/tasks", async context =>
        {
            // Empty twice, then the truth again.
            if (Interlocked.Increment(ref answers) == 2)
                engine.Fault("/tasks", null);
            await EngineStandIn.Body("application/json", "[]")(context);
        });
        await run.Until(() => Volatile.Read(ref answers) >= 2, "two empty lists");
        await run.UntilReadAgain();
        Assert.Equal(published, run.Catalogs.Count);

        engine.Change(e => e.Tasks.Clear());
        await run.Until(_ => run.InstancesOf("app").IsEmpty, "believed in the end");
        Assert.Contains(run.Warnings, w => w.Contains("sudden empty list", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_refused_path_is_named_and_costs_only_what_depends_on_it()
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.AddService("app");
        engine.AddContainer("plain");
        engine.Fault("/services", EngineStandIn.Status(403, "forbidden"));
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        Assert.Equal(["plain"], run.Catalog.Services.Select(s => s.Name));
        Assert.Single(run.Warnings, w => w.Contains("GET /services: status 403", StringComparison.Ordinal));
        Assert.True(run.Health.IsReachable);
        engine.Fault("/services", null);
        await run.Until(_ => run.Find("app") is not null, "allowed again");
    }

    [Fact]
    public async Task Without_events_changes_are_found_by_reading()
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.Fault("/events", EngineStandIn.Status(403, "forbidden"));
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        Assert.Single(run.Warnings, w => w.Contains("/events", StringComparison.Ordinal));
        engine.AddService("app");
        await run.Until(_ => run.InstancesOf("app").Length == 1, "found");
    }

    [Fact]
    public async Task A_stream_that_went_silent_is_noticed_by_reading_and_opened_anew()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var run = DiscoveryRun.Start(engine, DiscoveryRun.Quick with { SilentStream = TimeSpan.FromMilliseconds(300) });
        await run.FirstRead();
        await run.Until(() => engine.OpenStreams == 1, "a stream");
        engine.IsSilent = true;
        await run.UntilReadAgain();
        engine.AddService("app");
        await run.Until(_ => run.InstancesOf("app").Length == 1, "found by reading");
        await run.Until(() => run.Lines.Any(l => l.Text.Contains("keeps silent", StringComparison.Ordinal)), "noticed");
        await run.Until(() => engine.Requests.Count(r => r.Contains("/events", StringComparison.Ordinal)) == 2, "opened anew");
    }

    [Theory]
    [InlineData("This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\".", "engine is in no swarm")]
    [InlineData("This node is not a swarm manager. Worker nodes can't be used to view cluster state.", "engine is no swarm manager")]
    public async Task An_engine_that_is_no_manager_has_its_containers_routed_and_is_asked_again(string message, string said)
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.NotManager = message;
        engine.AddContainer("plain");
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        Assert.Single(run.InstancesOf("plain"));
        Assert.True(run.Health.IsReachable);
        await run.UntilReadAgain("/services");
        Assert.Single(run.Lines, l => l.Text.StartsWith(said, StringComparison.Ordinal));

        engine.NotManager = null;
        engine.AddService("app");
        await run.Until(_ => run.InstancesOf("app").Length == 1, "became a manager");
    }

    [Fact]
    public async Task A_service_that_vanishes_while_it_is_read_is_no_fault()
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.AddService("app");
        engine.AddService("other");
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        // The list of services is older than the removal, so the filter is refused.
        engine.Fault("/tasks", async context =>
        {
            if (context.Request.QueryString.HasValue)
                await EngineStandIn.Status(404, "service x not found")(context);
            else
                await EngineStandIn.Body("application/json", "[]")(context);
        });
        await run.Until(_ => run.InstancesOf("app").IsEmpty, "the unfiltered list, checked twice");
        Assert.DoesNotContain(run.Warnings, w => w.Contains("404", StringComparison.Ordinal));
    }
}
