using System.Diagnostics;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using Millau.SwarmTests.Support;

namespace Millau.SwarmTests;

/// <summary>What is not a short answer: events, WebSockets, large bodies both ways.</summary>
public class Streaming
{
    private static Proxy Millau => SharedMillau.Proxy;

    public Streaming() => Lab.Require();

    [Fact]
    public async Task Events_arrive_as_they_are_sent()
    {
        await using var stack = await ReadyAsync("events");
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        using var wire = new Wire();
        await wire.ConnectAsync(Millau.Address, Millau.Port, deadline.Token);
        await wire.SendAsync("GET", "events.test", "/events?count=4&interval=500", null, "", deadline.Token);
        var clock = Stopwatch.StartNew();
        var arrivals = new List<TimeSpan>();
        while (arrivals.Count < 4)
            if ((await wire.LineAsync(deadline.Token)).StartsWith("data:", StringComparison.Ordinal))
                arrivals.Add(clock.Elapsed);
        // Held back, they would come together at the end.
        Assert.InRange(arrivals[0], TimeSpan.Zero, TimeSpan.FromMilliseconds(900));
        Assert.True(arrivals[3] - arrivals[0] > TimeSpan.FromSeconds(1.2), $"arrived at {string.Join(", ", arrivals)}");
    }

    [Fact]
    public async Task WebSocket_messages_go_both_ways()
    {
        await using var stack = await ReadyAsync("websocket");
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Host", "websocket.test");
        await socket.ConnectAsync(new Uri($"ws://{Millau.Address}:{Millau.Port}/chat"), deadline.Token);
        var buffer = new byte[64 * 1024];
        foreach (var text in (string[])["one", "two", new string('x', 20_000)])
        {
            await socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, deadline.Token);
            var received = new StringBuilder();
            ValueWebSocketReceiveResult part;
            do
            {
                part = await socket.ReceiveAsync(buffer.AsMemory(), deadline.Token);
                received.Append(Encoding.UTF8.GetString(buffer, 0, part.Count));
            }
            while (!part.EndOfMessage);
            Assert.Equal(text, received.ToString());
        }
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, deadline.Token);
    }

    [Fact]
    public async Task Large_bodies_pass_whole_both_ways()
    {
        await using var stack = await ReadyAsync("large");
        var sent = new byte[30_000_000];
        Random.Shared.NextBytes(sent);
        using var client = new HttpClient { BaseAddress = new Uri($"http://{Millau.Address}:{Millau.Port}"), Timeout = TimeSpan.FromSeconds(60) };
        client.DefaultRequestHeaders.Host = "large.test";
        using var answer = await client.PostAsync("/upload", new ByteArrayContent(sent));
        var echo = await answer.Content.ReadAsStringAsync();
        Assert.Contains($"\"bodyBytes\":{sent.Length}", echo);
        Assert.Contains(Convert.ToHexStringLower(SHA256.HashData(sent)), echo);

        var received = await client.GetByteArrayAsync("/bytes?n=30000000");
        Assert.Equal(30_000_000, received.Length);
        for (var i = 0; i < received.Length; i++)
            if (received[i] != (byte)(i % (16 * 1024)))
                Assert.Fail($"byte {i} is {received[i]}");
    }

    private static async Task<Stack> ReadyAsync(string name)
    {
        var stack = await Stack.DeployAsync(name, new EchoSpec("app", $"{name}.test") { StartDelay = 0 });
        await Millau.UntilAsync("the service answers", $"{name}.test", a => a.Status == 200);
        return stack;
    }
}
