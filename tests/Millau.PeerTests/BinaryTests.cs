using System.Net;
using System.Net.Sockets;
using System.Text;
using Millau.Demo;
using Millau.PeerTests.Support;
using Millau.Tests.Shared;

namespace Millau.PeerTests;

/// <summary>The native binary by itself: that it starts, serves and ends, before anything else is asked of it.</summary>
public sealed class BinaryTests : IDisposable
{
    private readonly DirectoryInfo _data = Directory.CreateTempSubdirectory("millau-data-");

    public void Dispose() => _data.Delete(recursive: true);

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
    public async Task OpenSSL_is_loaded_by_the_first_handshake_and_neither_by_plain_requests_nor_by_who_watches()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello", ("millau.hosts", "app.localhost"));
        await using var millau = await MillauBinary.StartAsync(
            engine, ("ACME", "https://127.0.0.1:1/directory"), ("ACME_DATA", _data.FullName));
        var telemetry = $"http://127.0.0.1:{millau.Telemetry}";
        string[] plain =
            [$"http://app.localhost:{millau.Http}/", telemetry, $"{telemetry}/health", $"{telemetry}/metrics", $"{telemetry}/status"];

        foreach (var url in plain)
            Assert.NotEmpty((await Tool.RunAsync("curl", ["-sSf", url])).Succeeded);
        Assert.DoesNotContain("libcrypto", await MapsAsync());

        // Several at a time, none of which has a certificate to be found.
        var shown = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ =>
            Tool.RunAsync("curl", ["-sSk", "-w", "%{certs}", $"https://app.localhost:{millau.Https}/"])));

        Assert.All(shown, answer => Assert.StartsWith("hello", answer.Succeeded));
        Assert.All(shown, answer => Assert.Equal(shown[0].Output, answer.Output));
        Assert.Contains("libcrypto", await MapsAsync());

        Task<string> MapsAsync() => File.ReadAllTextAsync($"/proc/{millau.Process.Id}/maps");
    }

    [Fact]
    public async Task Clients_that_wait_to_be_accepted_when_it_is_stopped_are_served()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello", ("millau.hosts", "app.test"));
        await using var millau = await MillauBinary.StartAsync(engine);
        await Until.TrueAsync(() => millau.Output.Contains("instance up", StringComparison.Ordinal), "up");

        // Held up, so that the kernel alone takes the connections.
        await millau.Process.SignalAsync("STOP");
        var clients = new List<Socket>();
        for (var i = 0; i < 200; i++)
        {
            var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
            clients.Add(client);
            await client.ConnectBlockingAsync(new IPEndPoint(IPAddress.Loopback, millau.Http));
        }
        await millau.Process.SignalAsync("TERM");
        await millau.Process.SignalAsync("CONT");

        var answer = new byte[4096];
        foreach (var client in clients) await client.SendAsync("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"u8.ToArray());
        foreach (var client in clients)
        {
            var length = await client.ReceiveAsync(answer).WaitAsync(Until.Deadline);
            Assert.StartsWith("HTTP/1.1 200 OK", Encoding.ASCII.GetString(answer, 0, length));
            client.Dispose();
        }
        Assert.Equal(0, await millau.Process.WaitAsync());
    }
}
