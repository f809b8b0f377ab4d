using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Millau.Demo;
using Millau.PeerTests.Support;
using Millau.Tests.Shared;

namespace Millau.PeerTests.Hostile;

/// <summary>With few descriptors Millau sheds clients; it neither dies nor spins, and recovers.</summary>
public class FewDescriptorsTests
{
    [Fact]
    public async Task With_256_descriptors_clients_beyond_the_limit_are_shed_and_the_rest_is_served()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello");
        // The limit is set before the process begins, as an operator would.
        var ports = Ports.Free(3);
        await using var few = Tool.Start("/bin/sh", ["-c", $"ulimit -n 256; exec {MillauBinary.FilePath}"], new Dictionary<string, string?>
        {
            ["HTTP"] = $"{ports[0]}", ["HTTPS"] = $"{ports[1]}", ["TELEMETRY"] = $"{ports[2]}", ["DOCKER_HOST"] = engine.DockerHost, ["ACME"] = "off",
        });
        await Until.TrueAsync(() => few.Output.Contains("instance up", StringComparison.Ordinal) && few.Output.Contains("listening", StringComparison.Ordinal), "up");

        var clients = new List<Socket>();
        var open = 0;
        for (var i = 0; i < 600; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            clients.Add(socket);
            await socket.ConnectBlockingAsync(new IPEndPoint(IPAddress.Loopback, ports[0]));
        }
        var processor = Processor(few.Id);
        await Task.Delay(TimeSpan.FromSeconds(2));
        var used = Processor(few.Id) - processor;
        foreach (var socket in clients)
        {
            if (!socket.Poll(0, SelectMode.SelectRead)) open++;
            socket.Dispose();
        }

        // (256 - 64) / 2; each served client may need a connection to an instance.
        Assert.InRange(open, 90, 96);
        Assert.False(few.HasEnded, few.Output);
        Assert.True(used < TimeSpan.FromSeconds(1), $"{used.TotalSeconds} s of processor in 2 s of nothing");
        await Until.TrueAsync(async () => (await Tool.RunAsync("curl", ["-sS", $"http://127.0.0.1:{ports[0]}/"])).Output.Contains("hello", StringComparison.Ordinal), "served again");
    }

    // utime and stime of /proc/PID/stat, in hundredths of a second. The name before them may hold spaces, not here.
    private static TimeSpan Processor(int id)
    {
        var fields = File.ReadAllText($"/proc/{id}/stat").Split(' ');
        return TimeSpan.FromMilliseconds(10 * (long.Parse(fields[13], CultureInfo.InvariantCulture) + long.Parse(fields[14], CultureInfo.InvariantCulture)));
    }
}
