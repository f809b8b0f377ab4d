using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
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
        await using var few = Start("ulimit -n 256; ", ports, engine);
        await Until.TrueAsync(() => IsUp(few), "up");

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

    [Fact]
    public async Task Without_a_descriptor_left_clients_wait_in_the_backlog_and_are_served_when_there_is_one()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello");
        var ports = Ports.Free(3);
        await using var millau = Start("", ports, engine);
        await Until.TrueAsync(() => IsUp(millau), "up");

        await LimitAsync(millau.Id, FirstFree(millau.Id));
        var clients = new List<Socket>();
        for (var i = 0; i < 20; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 15_000 };
            clients.Add(socket);
            await socket.ConnectBlockingAsync(new IPEndPoint(IPAddress.Loopback, ports[0]));
            socket.Send("GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n"u8);
        }
        await Until.TrueAsync(() => millau.Output.Contains("no more connections accepted", StringComparison.Ordinal), "said");
        var processor = Processor(millau.Id);
        await Task.Delay(TimeSpan.FromSeconds(2));
        var used = Processor(millau.Id) - processor;
        await LimitAsync(millau.Id, 1000);

        var buffer = new byte[1000];
        foreach (var socket in clients)
        {
            Assert.Contains("HTTP/1.1 ", Encoding.ASCII.GetString(buffer, 0, socket.Receive(buffer)), StringComparison.Ordinal);
            socket.Dispose();
        }
        Assert.True(used < TimeSpan.FromSeconds(1), $"{used.TotalSeconds} s of processor in 2 s of waiting");
        // Said when it begins; each that is closed meanwhile makes room for one, and it begins anew.
        Assert.InRange(millau.Output.Split('\n').Count(line => line.Contains("no more connections accepted", StringComparison.Ordinal)), 1, 5);
    }

    private static Tool Start(string before, int[] ports, EngineStandIn engine) =>
        Tool.Start("/bin/sh", ["-c", $"{before}exec {MillauBinary.FilePath}"], new Dictionary<string, string?>
        {
            ["HTTP"] = $"{ports[0]}", ["HTTPS"] = $"{ports[1]}", ["TELEMETRY"] = $"{ports[2]}", ["DOCKER_HOST"] = engine.DockerHost, ["ACME"] = "off",
        });

    private static bool IsUp(Tool millau) =>
        millau.Output.Contains("instance up", StringComparison.Ordinal) && millau.Output.Contains("listening", StringComparison.Ordinal);

    // The least descriptor that is not open: with it as the limit there is none left.
    private static int FirstFree(int id)
    {
        var open = Directory.GetFiles($"/proc/{id}/fd").Select(f => int.Parse(Path.GetFileName(f), CultureInfo.InvariantCulture)).ToHashSet();
        return Enumerable.Range(0, int.MaxValue).First(i => !open.Contains(i));
    }

    private static async Task LimitAsync(int id, int descriptors) =>
        Assert.Equal(0, (await Tool.RunAsync("prlimit", [$"--pid={id}", $"--nofile={descriptors}:"])).ExitCode);

    // utime and stime of /proc/PID/stat, in hundredths of a second. The name before them may hold spaces, not here.
    private static TimeSpan Processor(int id)
    {
        var fields = File.ReadAllText($"/proc/{id}/stat").Split(' ');
        return TimeSpan.FromMilliseconds(10 * (long.Parse(fields[13], CultureInfo.InvariantCulture) + long.Parse(fields[14], CultureInfo.InvariantCulture)));
    }
}
