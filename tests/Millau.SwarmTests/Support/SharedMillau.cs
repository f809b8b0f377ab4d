[assembly: AssemblyFixture(typeof(Millau.SwarmTests.Support.SharedMillau))]

namespace Millau.SwarmTests.Support;

/// <summary>
/// The Millau that most tests share, deployed once with deploy/docker-compose.proxy.yml as it is: on node a, port 8080.
/// Tests keep apart by host names; those that route every host do not run beside others that look at unmatched hosts.
/// </summary>
public sealed class SharedMillau : IAsyncLifetime
{
    internal static Proxy Proxy => new(Lab.A.Address, 8080);

    private Stack? _stack;

    public async ValueTask InitializeAsync()
    {
        if (!Lab.IsPresent)
            return;
        _stack = await Stack.DeployFileAsync("proxy", "docker-compose.proxy.yml");
        // Not 502 for its own sake: nothing is deployed yet, and this is what Millau answers then.
        try
        {
            await Proxy.UntilAsync("the shared Millau answers", "nobody.test", a => a.Status == 502);
        }
        catch (TimeoutException e)
        {
            var tasks = await Lab.A.DockerAsync("service", "ps", "--no-trunc", "proxy_proxy");
            throw new InvalidOperationException($"{e.Message}\n{tasks}\n{await LogAsync()}", e);
        }
    }

    /// <summary>The log of the shared Millau so far.</summary>
    internal static async Task<string> LogAsync()
    {
        var containers = await Lab.A.DockerAsync("ps", "-aq", "--filter", "label=com.docker.swarm.service.name=proxy_proxy");
        return await Shell.RunAsync("sh", ["-c", "for c in $0; do docker logs $c 2>&1; done", containers], Lab.A.DockerHost);
    }

    /// <summary>Waits for a line of its log that has all these words.</summary>
    internal static async Task LoggedAsync(params string[] words)
    {
        var log = "";
        await Until.TrueAsync($"a log line with {string.Join(", ", words)}", async () =>
            (log = await LogAsync()).Split('\n').Any(line => words.All(line.Contains)),
            () => string.Join('\n', log.Split('\n').TakeLast(20)));
    }

    public async ValueTask DisposeAsync()
    {
        if (_stack is null)
            return;
        await File.WriteAllTextAsync(Path.Combine(Lab.Root, "artifacts", "swarm-millau.log"), await LogAsync());
        await _stack.DisposeAsync();
    }
}
