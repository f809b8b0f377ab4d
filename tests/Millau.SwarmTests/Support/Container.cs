using System.Globalization;

namespace Millau.SwarmTests.Support;

/// <summary>A plain container (<c>docker run -d</c>), removed when disposed.</summary>
internal sealed class Container : IAsyncDisposable
{
    private Container(Node node, string id)
    {
        Node = node;
        Id = id;
    }

    public Node Node { get; }

    public string Id { get; }

    /// <summary>Starts a container of an image; <paramref name="options"/> stand before the image, arguments after it.</summary>
    public static async Task<Container> RunAsync(Node node, string image, string[] options, params string[] args) =>
        new(node, await node.DockerAsync(["run", "-d", .. options, image, .. args]));

    /// <summary>Starts Millau on a network, its port 80 published at a free one.</summary>
    public static Task<Container> RunMillauAsync(Node node, string network, params string[] options) =>
        RunAsync(node, "millau:latest",
            ["-p", "80", "--network", network, "-v", "/var/run/docker.sock:/var/run/docker.sock:ro", .. options]);

    /// <summary>Starts an echo service with labels that route a host to it. Equal names are one service, so a test has its own.</summary>
    public static Task<Container> RunEchoAsync(Node node, string network, string name, string host, params string[] options) =>
        RunAsync(node, "millau-echo:latest",
            ["--network", network, "--label", $"com.docker.compose.service={name}", "--env", $"NAME={name}",
                "--label", "millau.enabled=true", "--label", "millau.port=80", "--label", $"millau.hosts={host}", .. options]);

    /// <summary>Where its published port 80 is reached.</summary>
    public async Task<Proxy> ProxyAsync()
    {
        var published = (await Node.DockerAsync("port", Id, "80/tcp")).Split('\n')[0];
        return new Proxy(Node.Address, int.Parse(published[(published.LastIndexOf(':') + 1)..]));
    }

    public Task<string> InspectAsync(string format) => Node.DockerAsync("inspect", "--format", format, Id);

    /// <summary>When it was started last, by the Engine's clock, which is this machine's.</summary>
    public async Task<DateTime> StartedAsync() => DateTime.Parse(await InspectAsync("{{.State.StartedAt}}"),
        CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal | DateTimeStyles.AssumeUniversal);

    public Task<string> LogAsync() => Shell.RunAsync("sh", ["-c", "docker logs \"$0\" 2>&1", Id], Node.DockerHost);

    public async ValueTask DisposeAsync() => await Node.DockerAsync("rm", "-f", "-v", Id);
}

/// <summary>A bridge network of a test's own on a plain Engine, removed when disposed: after the containers on it.</summary>
internal sealed class Bridge(Node node, string name) : IAsyncDisposable
{
    public string Name => name;

    public static async Task<Bridge> CreateAsync(Node node, string name)
    {
        await node.DockerAsync("network", "create", name);
        return new Bridge(node, name);
    }

    public async ValueTask DisposeAsync() => await node.DockerAsync("network", "rm", name);
}
