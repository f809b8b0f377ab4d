using Microsoft.AspNetCore.Http;
using Millau.Demo;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

/// <summary>What keeps the Engine from being seen whole, as people are told of it.</summary>
public class EngineProblemsTests
{
    [Fact]
    public async Task Own_ports_in_the_mesh_are_said_once_and_told_while_it_lasts()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var service = new StandInService(engine.NewId("service"), "proxy");
        service.Ports.AddRange([(80, 8080, "ingress"), (443, 8443, "host"), (9100, 9100, "ingress")]);
        var container = new StandInContainer("own", "proxy.1") { Labels = new() { ["com.docker.swarm.service.id"] = service.Id } };
        container.Attachments.Add((engine.Bridge, "127.0.0.1"));
        engine.Change(e =>
        {
            e.Services.Add(service);
            e.Containers.Add(container);
        });

        await using var run = DiscoveryRun.Start(engine, ownContainerId: "own", clientPorts: [80, 443]);
        await run.Until(() => Codes(run).Contains("ingress-mode"), "ingress mode");
        await run.UntilReadAgain();

        var problem = Assert.Single(run.Health.Problems, p => p.Code == "ingress-mode");
        Assert.Contains("port 8080 is published in ingress mode", problem.Text, StringComparison.Ordinal);
        Assert.Single(run.Warnings, w => w.Contains("ports=8080;", StringComparison.Ordinal));

        engine.Change(_ =>
        {
            service.Ports[0] = (80, 8080, "host");
            service.Version++;
        });
        engine.Emit("service", "update", service.Id);
        await run.Until(() => !Codes(run).Contains("ingress-mode"), "host mode");
    }

    [Fact]
    public async Task A_path_that_a_proxy_refuses_is_named_with_what_is_lost()
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.Fault("/services", context =>
        {
            context.Response.StatusCode = 403;
            return Task.CompletedTask;
        });

        await using var run = DiscoveryRun.Start(engine);
        await run.Until(() => run.Health.IsReachable && Codes(run).Contains("engine-forbidden"), "forbidden");

        var problem = Assert.Single(run.Health.Problems);
        Assert.Contains("GET /services", problem.Text, StringComparison.Ordinal);
        Assert.Contains("Swarm services are not seen", problem.Text, StringComparison.Ordinal);
        Assert.Equal("Let the socket proxy pass GET /services.", problem.Advice);

        engine.Fault("/services", null);
        await run.Until(() => run.Health.Problems.IsEmpty, "allowed again");
    }

    [Fact]
    public async Task A_worker_is_told_to_be_no_manager()
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.NotManager = "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state.";

        await using var run = DiscoveryRun.Start(engine);
        await run.Until(() => run.Health.IsReachable && Codes(run).Contains("not-a-manager"), "a worker");

        Assert.Contains("Place Millau on a manager", Assert.Single(run.Health.Problems).Advice, StringComparison.Ordinal);
    }

    [Fact]
    public async Task How_long_the_Engine_is_gone_is_known_and_its_return_ends_it()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var run = DiscoveryRun.Start(engine);
        await run.FirstRead();
        await run.Until(() => run.Health.IsReachable, "reachable");
        var reachable = run.Health.Since;
        Assert.NotNull(reachable);
        Assert.NotEqual("", run.Health.ApiVersion);

        await engine.StopAsync();
        await run.Until(() => !run.Health.IsReachable, "gone");
        var gone = run.Health.Since;
        Assert.True(gone >= reachable);
        Assert.Equal(["engine-unreachable"], Codes(run));
        await run.Until(() => run.Lines.Count(l => l.Text.StartsWith("engine still unreachable", StringComparison.Ordinal)) > 2, "more tries");
        Assert.Equal(gone, run.Health.Since);

        await engine.RestartAsync();
        await run.Until(() => run.Health.IsReachable, "back");
        Assert.Empty(Codes(run));
    }

    private static IEnumerable<string> Codes(DiscoveryRun run) => run.Health.Problems.Select(p => p.Code);
}
