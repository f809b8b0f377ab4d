using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Millau.Demo;
using Millau.PeerTests.Support;
using Millau.Tests.Wire.Http2;

namespace Millau.PeerTests;

/// <summary>The native binary with HTTP/2 clients of others, and under floods of frames.</summary>
public class Http2Tests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task Curl_speaks_http2_with_it()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 2, "hello");
        await using var millau = await MillauBinary.StartAsync(engine);

        var get = await Tool.RunAsync("curl", ["-sSik", "--http2", $"https://127.0.0.1:{millau.Https}/"]);

        Assert.StartsWith("HTTP/2 200", get.Succeeded);
        Assert.Contains("hello", get.Output);
    }

    [Fact]
    public async Task A_load_of_many_streams_loses_no_request()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 2, "hello");
        await using var millau = await MillauBinary.StartAsync(engine);

        var load = await Tool.RunAsync("h2load", ["-n", "5000", "-c", "10", "-m", "50", $"https://127.0.0.1:{millau.Https}/"]);

        Assert.Contains("Application protocol: h2", load.Succeeded);
        Assert.Contains("5000 succeeded, 0 failed, 0 errored, 0 timeout", load.Output);
        Assert.Contains("status codes: 5000 2xx", load.Output);
    }

    [Theory]
    [InlineData("reset")]
    [InlineData("settings")]
    [InlineData("ping")]
    [InlineData("data")]
    [InlineData("one byte a stream")]
    public async Task A_flood_leaves_memory_as_it_was(string kind)
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello");
        await using var millau = await MillauBinary.StartAsync(engine);
        await Tool.RunAsync("h2load", ["-n", "2000", "-c", "5", "-m", "50", $"https://127.0.0.1:{millau.Https}/"]);
        var before = Memory(millau);

        // Its answers are not read. What is cut is begun anew.
        var most = before;
        for (var connection = 0; connection < 10; connection++)
        {
            await using var client = await Http2Client.ConnectAsync(new IPEndPoint(IPAddress.Loopback, millau.Https));
            await FloodAsync(client, kind);
            most = Math.Max(most, Memory(millau));
        }

        Assert.InRange(most - before, long.MinValue, 48 * MiB);
        Assert.Contains("hello", (await Tool.RunAsync("curl", ["-sSk", "--http2", $"https://127.0.0.1:{millau.Https}/"])).Succeeded);
    }

    private static async Task FloodAsync(Http2Client client, string kind)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        var head = Http2Client.Request().ToArray();
        var post = Http2Client.Request("POST").ToArray();
        // One byte for each of the streams that a connection may have; everything else goes on for ten thousand frames.
        var count = kind == "one byte a stream" ? 100 : 10_000;
        if (kind == "data") await client.SendFrameAsync(Http2Frame.Headers, Http2Frame.EndHeaders, 1, post);
        try
        {
            for (var i = 0; i < count; i++)
            {
                byte[] frames = kind switch
                {
                    "reset" =>
                    [
                        .. Http2Frame.Make(Http2Frame.Headers, Http2Frame.EndHeaders | Http2Frame.EndStream, 2 * i + 1, head),
                        .. Http2Frame.Make(Http2Frame.ResetStream, 0, 2 * i + 1, [0, 0, 0, 8]),
                    ],
                    "settings" => Http2Frame.Make(Http2Frame.Settings, 0, 0, [0, 4, 0, 0, 0xff, 0xff]),
                    "ping" => Http2Frame.Make(Http2Frame.Ping, 0, 0, new byte[8]),
                    "data" => Http2Frame.Make(Http2Frame.Data, 0, 1, []),
                    _ =>
                    [
                        .. Http2Frame.Make(Http2Frame.Headers, Http2Frame.EndHeaders, 2 * i + 1, post),
                        .. Http2Frame.Make(Http2Frame.Data, 0, 2 * i + 1, [0]),
                    ],
                };
                await client.Connection.SendAsync(frames).WaitAsync(patience.Token);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Cut, or not read any more.
        }
    }

    /// <summary>Resident bytes of the process.</summary>
    private static long Memory(MillauBinary millau)
    {
        var status = File.ReadAllText($"/proc/{millau.Process.Id}/status");
        return long.Parse(Regex.Match(status, @"VmRSS:\s+(\d+) kB").Groups[1].Value, CultureInfo.InvariantCulture) * 1024;
    }
}
