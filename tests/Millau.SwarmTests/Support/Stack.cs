using System.Text;

namespace Millau.SwarmTests.Support;

/// <summary>How an echo service of a test is deployed. The host name routes to it and is its own, so tests do not meet.</summary>
internal sealed record EchoSpec(string Name, string Host)
{
    public int Replicas { get; init; } = 1;

    /// <summary>Host name of the node that its tasks must run on, or null for any.</summary>
    public string? Node { get; init; } = "millau-a";

    public string Order { get; init; } = "stop-first";

    /// <summary>Milliseconds that an instance takes to open its port, and stays after SIGTERM.</summary>
    public int StartDelay { get; init; } = 300;

    public int StopDelay { get; init; } = 500;

    public bool HealthCheck { get; init; }

    /// <summary>Further labels, <c>name=value</c>.</summary>
    public string[] Labels { get; init; } = [];

    public string[] Environment { get; init; } = [];
}

/// <summary>A deployed stack, removed when disposed. The name must be the test's own.</summary>
internal sealed class Stack : IAsyncDisposable
{
    private readonly Node _manager;
    private bool _waits;

    private Stack(Node manager, string name, string record)
    {
        _manager = manager;
        Name = name;
        Record = record;
    }

    public string Name { get; }

    /// <summary>Where its instances write the ids of the POSTs that they executed.</summary>
    public string Record { get; }

    public static async Task<Stack> DeployAsync(string name, params EchoSpec[] services)
    {
        var stack = new Stack(Lab.A, name, Lab.Directory(name));
        await Lab.A.DockerInputAsync(stack.Yaml(services), "stack", "deploy", "--resolve-image", "never", "-c", "-", name);
        return stack;
    }

    /// <summary>Deploys a file of deploy/ as it is. Its hosts are not its own, so disposing waits for its last container.</summary>
    public static async Task<Stack> DeployFileAsync(string name, string file)
    {
        var stack = new Stack(Lab.A, name, "") { _waits = true };
        await Lab.A.DockerAsync("stack", "deploy", "--resolve-image", "never", "-c", Path.Combine(Lab.Root, "deploy", file), name);
        return stack;
    }

    /// <summary>Deploys a stack file that a test wrote. Disposing waits as for a file of deploy/.</summary>
    public static async Task<Stack> DeployYamlAsync(string name, string yaml)
    {
        var stack = new Stack(Lab.A, name, "") { _waits = true };
        await Lab.A.DockerInputAsync(yaml, "stack", "deploy", "--resolve-image", "never", "-c", "-", name);
        return stack;
    }

    /// <summary>Deploys the services again with other settings: a rolling update of those that differ.</summary>
    public Task RedeployAsync(params EchoSpec[] services) =>
        _manager.DockerInputAsync(Yaml(services), "stack", "deploy", "--resolve-image", "never", "-c", "-", Name);

    /// <summary>Runs <c>docker service ...</c> on one of its services and returns at once, not when the Swarm has converged.</summary>
    public Task UpdateAsync(string service, params string[] options) =>
        _manager.DockerAsync(["service", "update", "--detach", "--no-resolve-image", .. options, $"{Name}_{service}"]);

    public Task ScaleAsync(string service, int replicas) =>
        _manager.DockerAsync("service", "scale", "--detach", $"{Name}_{service}={replicas}");

    /// <summary>Waits until an update of the service was completed, as the Engine says.</summary>
    public Task UpdatedAsync(string service)
    {
        var state = "";
        return Until.TrueAsync($"update of {Name}_{service} completed", async () =>
            (state = await _manager.DockerAsync("service", "inspect", "--format", "{{with .UpdateStatus}}{{.State}}{{end}}", $"{Name}_{service}")) == "completed",
            () => state, TimeSpan.FromSeconds(90));
    }

    /// <summary>Ids of the containers of a service that run on a node.</summary>
    public async Task<string[]> ContainersAsync(Node node, string service) =>
        (await node.DockerAsync("ps", "-q", "--no-trunc", "--filter", $"label=com.docker.swarm.service.name={Name}_{service}"))
        .Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public async ValueTask DisposeAsync()
    {
        try
        {
            await _manager.DockerAsync("stack", "rm", Name);
            if (_waits)
                await GoneAsync();
        }
        catch (Exception e) when (e is InvalidOperationException or TimeoutException)
        {
            // What failed before matters more than that the remains of the stack go only with the lab.
            Console.Error.WriteLine(e.Message);
        }
    }

    private Task<TimeSpan> GoneAsync()
    {
        var left = "";
        return Until.TrueAsync($"no container of {Name} runs", async () =>
        {
            left = "";
            foreach (var node in (Node[])[Lab.A, Lab.B])
                left += await node.DockerAsync("ps", "-q", "--filter", $"label=com.docker.stack.namespace={Name}");
            return left.Length == 0;
        }, () => left);
    }

    private string Yaml(EchoSpec[] services)
    {
        var yaml = new StringBuilder("version: '3.8'\nservices:\n");
        foreach (var service in services)
        {
            yaml.Append($$"""
                  {{service.Name}}:
                    image: millau-echo:latest
                    stop_grace_period: 5s
                    volumes: ['{{Record}}:/record']
                    networks: [millau]
                    environment:
                      - NAME={{service.Name}}
                      - RECORD=/record
                      - START_DELAY={{service.StartDelay}}
                      - STOP_DELAY={{service.StopDelay}}

                """);
            foreach (var variable in service.Environment)
                yaml.Append($"      - {variable}\n");
            if (service.HealthCheck)
                yaml.Append("    healthcheck: {test: [CMD, /echo, healthcheck], interval: 500ms, timeout: 2s, retries: 2, start_period: 5s}\n");
            yaml.Append($$"""
                    deploy:
                      replicas: {{service.Replicas}}
                      update_config: {parallelism: 1, delay: 0s, monitor: 500ms, failure_action: continue, order: {{service.Order}}}
                      restart_policy: {condition: any, delay: 500ms}

                """);
            if (service.Node is { } node)
                yaml.Append($"      placement: {{constraints: [node.hostname == {node}]}}\n");
            yaml.Append("      labels:\n");
            foreach (var label in (string[])["millau.enabled=true", "millau.port=80", $"millau.hosts={service.Host}", .. service.Labels])
                yaml.Append($"        - '{label}'\n");
        }
        return yaml.Append("networks: {millau: {external: true}}\n").ToString();
    }
}
