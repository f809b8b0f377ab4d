using Millau.SwarmTests.Support;

namespace Millau.SwarmTests;

/// <summary>Whole nodes, Engines and Millau itself go and come back under load.</summary>
[Collection(nameof(Alone))]
public class ClusterFaults
{
    private static Proxy Millau => SharedMillau.Proxy;

    public ClusterFaults() => Lab.Require();

    [Fact]
    public async Task A_drained_node_loses_no_request()
    {
        var app = new EchoSpec("app", "drain.test") { Replicas = 2, Node = null };
        await using var stack = await Stack.DeployAsync("drain", app);
        await Millau.UntilInstancesAsync(app.Host, 2);
        await Until.TrueAsync("one instance on each node", async () =>
            (await stack.ContainersAsync(Lab.A, "app")).Length == 1 && (await stack.ContainersAsync(Lab.B, "app")).Length == 1);
        await using var load = new Load(app.Host, stack.Record, Millau);
        await load.MoreAsync(100);
        try
        {
            await Lab.A.DockerAsync("node", "update", "--availability", "drain", "millau-b");
            await Until.TrueAsync("the node is empty", async () => (await stack.ContainersAsync(Lab.B, "app")).Length == 0);
            await Millau.UntilInstancesAsync(app.Host, 2);
            await load.MoreAsync(100);
        }
        finally
        {
            await Lab.A.DockerAsync("node", "update", "--availability", "active", "millau-b");
        }
        await load.EndAsync("node drain, 1 of 2 instances on it");
    }

    [Fact]
    public async Task Millau_replaced_on_both_nodes_one_after_the_other_loses_no_request()
    {
        var app = new EchoSpec("app", "replace.test") { Replicas = 2 };
        await using var stack = await Stack.DeployAsync("replace", app);
        await using var millau = await MillauServiceAsync("edge", "--mode", "global", "--update-order", "stop-first");
        await millau.AtA.UntilInstancesAsync(app.Host, 2, TimeSpan.FromSeconds(60));
        await millau.AtB.UntilInstancesAsync(app.Host, 2, TimeSpan.FromSeconds(60));
        await using var load = new Load(app.Host, stack.Record, millau.AtA, millau.AtB);
        await load.MoreAsync(100);
        await millau.ReplaceAsync();
        await load.MoreAsync(100);
        await load.EndAsync("Millau replaced on two nodes in turn (stop-first), clients move on when refused");
    }

    [Fact]
    public async Task Millau_replaced_start_first_loses_no_request()
    {
        var app = new EchoSpec("app", "successor.test") { Replicas = 2 };
        await using var stack = await Stack.DeployAsync("successor", app);
        await using var millau = await MillauServiceAsync("successor-edge", "--replicas", "1", "--update-order", "start-first");
        await Until.TrueAsync("Millau answers on one node", async () =>
            (await millau.AtA.TryAsync(app.Host)).Status == 200 || (await millau.AtB.TryAsync(app.Host)).Status == 200,
            deadline: TimeSpan.FromSeconds(60));
        await using var load = new Load(app.Host, stack.Record, millau.AtA, millau.AtB);
        await load.MoreAsync(100);
        await millau.ReplaceAsync();
        await load.MoreAsync(100);
        await load.EndAsync("Millau replaced start-first on another node, clients move on when refused");
    }

    [Fact]
    public async Task An_Engine_that_hangs_under_load_loses_no_request()
    {
        var app = new EchoSpec("app", "hang.test") { Replicas = 2 };
        await using var stack = await Stack.DeployAsync("hang", app);
        await Millau.UntilInstancesAsync(app.Host, 2);
        await using var load = new Load(app.Host, stack.Record, Millau);
        await load.MoreAsync(100);
        await Lab.A.EngineAsync("pause");
        try
        {
            // Ten seconds of load: longer than Millau's deadline for one call to the Engine.
            await load.MoreAsync(3500);
        }
        finally
        {
            await Lab.A.EngineAsync("resume");
        }
        await stack.ScaleAsync("app", 3);
        await Millau.UntilInstancesAsync(app.Host, 3, TimeSpan.FromSeconds(60));
        await load.MoreAsync(100);
        await load.EndAsync("the manager's Engine hangs for 10 s (SIGSTOP), then scaling to 3");
    }

    /// <summary>
    /// A Swarm's containers end with their Engine, so what is stopped here is the manager's, while Millau and the instances
    /// run on the worker: Millau reads the manager over TCP, as a proxy on a worker node does.
    /// </summary>
    [Fact]
    public async Task The_managers_Engine_stopped_and_started_loses_no_request()
    {
        var app = new EchoSpec("app", "restart.test") { Replicas = 2, Node = "millau-b" };
        await using var stack = await Stack.DeployAsync("restart", app);
        await using var container = await Container.RunMillauAsync(Lab.B, "millau", "--env", $"DOCKER_HOST=tcp://{Lab.A.Address}:2375");
        var millau = await container.ProxyAsync();
        await millau.UntilInstancesAsync(app.Host, 2, TimeSpan.FromSeconds(60));
        await using var load = new Load(app.Host, stack.Record, millau);
        await load.MoreAsync(100);
        await Lab.A.EngineAsync("stop");
        try
        {
            await load.MoreAsync(1000);
        }
        finally
        {
            await Lab.A.EngineAsync("start");
        }
        // The manager needs a moment to lead again before it takes a command.
        await Until.TrueAsync("the Swarm takes commands again", async () =>
        {
            try
            {
                await stack.ScaleAsync("app", 3);
                return true;
            }
            catch (InvalidOperationException)
            {
                return false;
            }
        }, deadline: TimeSpan.FromSeconds(60));
        await millau.UntilInstancesAsync(app.Host, 3, TimeSpan.FromSeconds(60));
        await load.MoreAsync(100);
        await load.EndAsync("the manager's Engine stopped and started, then scaling to 3");
        await Millau.UntilInstancesAsync(app.Host, 3, TimeSpan.FromSeconds(60));
    }

    private static async Task<MillauService> MillauServiceAsync(string name, params string[] options)
    {
        var port = Interlocked.Increment(ref _lastPort);
        // Both nodes read the manager's Engine: services and tasks can be read on a manager only.
        await Lab.A.DockerAsync(["service", "create", "--detach", "--no-resolve-image", "--name", name, "--network", "millau",
            "--publish", $"mode=host,published={port},target=80", "--env", $"DOCKER_HOST=tcp://{Lab.A.Address}:2375",
            "--read-only", "--cap-drop", "ALL", "--user", "65532:65532", "--stop-grace-period", "40s", "--update-monitor", "1s",
            .. options, "millau:latest"]);
        return new MillauService(name, port);
    }

    private static int _lastPort = 8100;

    /// <summary>A Millau as a service of its own, on whichever node Swarm puts it, with the same port on each.</summary>
    private sealed class MillauService(string name, int port) : IAsyncDisposable
    {
        public Proxy AtA => new(Lab.A.Address, port);

        public Proxy AtB => new(Lab.B.Address, port);

        public async Task ReplaceAsync()
        {
            await Lab.A.DockerAsync("service", "update", "--detach", "--no-resolve-image", "--force", name);
            var state = "";
            await Until.TrueAsync("Millau was replaced", async () =>
                (state = await Lab.A.DockerAsync("service", "inspect", "--format", "{{with .UpdateStatus}}{{.State}}{{end}}", name)) == "completed",
                () => state, TimeSpan.FromSeconds(120));
        }

        public async ValueTask DisposeAsync() => await Lab.A.DockerAsync("service", "rm", name);
    }
}
