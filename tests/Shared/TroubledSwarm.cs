using Millau.Demo;

namespace Millau.Tests.Shared;

/// <summary>
/// A Swarm in which some services are well, and each of the others has one thing wrong with it; named after it.
/// </summary>
internal static class TroubledSwarm
{
    /// <summary>Key material in labels: it may be seen nowhere.</summary>
    public const string Key = "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tTUlHSEFnRUFNQk1HQnlxR1NNNDlBZ0VHQ0NxR1NNNDlBd0VIQkcw";

    /// <summary>What a label might hold to run in the browser of whoever looks at it.</summary>
    public const string Script = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";

    /// <summary>What the Engine shows of the troubled ones, by name, with the code of the problem that is to be told.</summary>
    public static readonly IReadOnlyDictionary<string, string> Expected = new Dictionary<string, string>
    {
        ["no-labels"] = "no-labels",
        ["disabled"] = "disabled",
        ["not-enabled"] = "not-enabled",
        ["misplaced"] = "labels-on-containers",
        ["no-port"] = "port-missing",
        ["bad-path"] = "bad-value",
        ["misspelt"] = "unknown-label",
        ["other-network"] = "no-shared-network",
        ["scaled-down"] = "scaled-to-zero",
        ["no-node"] = "cannot-start",
        ["starting"] = "starting",
        ["wrong-port"] = "port-refuses",
        ["sick"] = "unhealthy",
        ["script"] = "bad-value",
        ["bad-cert"] = "bad-certificate",
        ["bad-ca"] = "bad-certificate",
    };

    /// <summary>Adds the services; those that answer are the swarm's, so it must live as long as they are asked.</summary>
    public static async Task DeployAsync(EngineStandIn engine, DemoSwarm swarm)
    {
        await swarm.DeployAsync("whoami", 3, "whoami", ("millau.hosts", "localhost whoami.example.com"));
        await swarm.DeployAsync("blue", 1, "blue", ("millau.hosts", "company.com blue.example.com"), ("millau.path", "/api/"));
        await swarm.DeployAsync("green", 2, "green", ("millau.hosts", "company.com"), ("millau.path", "/api/"));
        await swarm.DeployAsync("maintenance", 1, "We will be back soon");

        var backend = new StandInNetwork("net-backend", "backend", "overlay");
        engine.Change(e =>
        {
            Add(e, "no-labels", []);
            Add(e, "disabled", [("enabled", "false"), ("port", "80")]);
            Add(e, "not-enabled", [("port", "80"), ("hosts", "intranet.example.com")]);
            Add(e, "misplaced", []).ContainerLabels["millau.enabled"] = "true";
            Add(e, "no-port", [("enabled", "true"), ("hosts", "api.example.com")]).Ports.Add((8080, 18080, "ingress"));
            Add(e, "bad-path", [("enabled", "true"), ("port", "80"), ("path", "shop")]);
            Add(e, "misspelt", [("enabled", "true"), ("port", "80"), ("hots", "blog.example.com")]);
            Task(e, Add(e, "other-network", [("enabled", "true"), ("port", "80")]), backend, "10.0.9.7/24");
            Add(e, "scaled-down", [("enabled", "true"), ("port", "80"), ("hosts", "shop.example.com")]).Replicas = 0;
            var waiting = Task(e, Add(e, "no-node", [("enabled", "true"), ("port", "80"), ("hosts", "gpu.example.com")]), null, "");
            waiting.State = "pending";
            waiting.Error = "no suitable node (scheduling constraints not satisfied on 3 nodes)";
            Task(e, Add(e, "starting", [("enabled", "true"), ("port", "80"), ("hosts", "soon.example.com")]), null, "").State = "preparing";
            var wrong = Task(e, Add(e, "wrong-port", [("enabled", "true"), ("port", "9"), ("hosts", "wiki.example.com")]),
                e.Bridge, "127.41.7.7/8");
            wrong.ContainerId = "c-wrong-port";
            e.Containers.Add(new StandInContainer("c-wrong-port", "wrong-port.1")
            {
                Labels = new() { ["com.docker.swarm.task.id"] = wrong.Id },
                Ports = [3000],
            });
            var sick = new StandInContainer("c-sick", "sick")
            {
                Labels = new() { ["millau.enabled"] = "true", ["millau.port"] = "80", ["millau.hosts"] = "sick.example.com" },
                Health = "unhealthy",
            };
            sick.Attachments.Add((e.Bridge, "127.41.7.8"));
            e.Containers.Add(sick);
            Add(e, "script", [("enabled", "true"), ("port", Script)]);
            Add(e, "bad-ca", [("enabled", "true"), ("port", "80"), ("hosts", "members.example.com"), ("clientca", "bm90IGEgY2VydGlmaWNhdGU=")]);
            Add(e, "bad-cert", [("enabled", "false"), ("cert", "bm90IGEgY2VydGlmaWNhdGU="), ("key", Key)]);
        });
        engine.Emit("service", "create", "many");
    }

    private static StandInService Add(EngineStandIn engine, string name, (string Name, string Value)[] labels)
    {
        var service = new StandInService(engine.NewId("service"), name);
        foreach (var (label, value) in labels)
            service.Labels["millau." + label] = value;
        engine.Services.Add(service);
        return service;
    }

    private static StandInTask Task(EngineStandIn engine, StandInService service, StandInNetwork? network, string address)
    {
        var task = new StandInTask(engine.NewId("task"), service);
        if (network is not null)
            task.Attachments.Add((network, address));
        engine.Tasks.Add(task);
        return task;
    }
}
