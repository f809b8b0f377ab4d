using System.Net;
using System.Net.Sockets;
using System.Text;
using Millau.Demo;
using Millau.PeerTests.Support;
using Millau.Tests.Shared;

namespace Millau.PeerTests;

/// <summary>The native binary by itself: that it starts, serves and ends, before anything else is asked of it.</summary>
public class BinaryTests
{
    [Fact]
    public async Task Curl_gets_the_answer_of_a_routed_service()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 2, "hello", ("millau.hosts", "app.test"));
        await using var millau = await MillauBinary.StartAsync(engine);

        var answer = await Tool.RunAsync("curl", ["-sS", "-i", "-H", "Host: app.test", $"http://127.0.0.1:{millau.Http}/"]);

        Assert.StartsWith("HTTP/1.1 200 OK", answer.Succeeded);
        Assert.Contains("hello", answer.Output);
    }

    [Fact]
    public async Task It_ends_with_0_when_it_is_told_to()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var millau = await MillauBinary.StartAsync(engine);

        await millau.Process.SignalAsync("TERM");

        Assert.Equal(0, await millau.Process.WaitAsync());
    }

    [Fact]
    public async Task It_has_no_capability_in_these_tests_as_in_its_image()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var millau = await MillauBinary.StartAsync(engine);

        Assert.Contains("CapEff:\t0000000000000000\n", await File.ReadAllTextAsync($"/proc/{millau.Process.Id}/status"));
    }

    [Fact]
    public async Task Clients_that_connect_while_it_stops_are_served_or_refused_but_never_reset()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello", ("millau.hosts", "app.test"));
        for (var round = 0; round < 3; round++)
        {
            await using var millau = await MillauBinary.StartAsync(engine);
            await Until.TrueAsync(() => millau.Output.Contains("instance up", StringComparison.Ordinal), "up");
            var address = new IPEndPoint(IPAddress.Loopback, millau.Http);
            var served = 0;
            var clients = Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
            {
                while (await IsServedAsync(address)) Interlocked.Increment(ref served);
            })).ToArray();
            await Until.TrueAsync(() => served > 100, "served");

            await millau.Process.SignalAsync("TERM");

            await Task.WhenAll(clients).WaitAsync(Until.Deadline);
            Assert.Equal(0, await millau.Process.WaitAsync());
        }
    }

    /// <summary>One request on a connection of its own; false if it is refused.</summary>
    private static async Task<bool> IsServedAsync(IPEndPoint address)
    {
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await client.ConnectBlockingAsync(address);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            return false;
        }
        await client.SendAsync("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"u8.ToArray());
        var answer = new byte[4096];
        Assert.StartsWith("HTTP/1.1 200 OK", Encoding.ASCII.GetString(answer, 0, await client.ReceiveAsync(answer).WaitAsync(Until.Deadline)));
        return true;
    }
}
