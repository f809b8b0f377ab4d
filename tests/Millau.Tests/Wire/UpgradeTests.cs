using System.Net.Sockets;
using Millau.Transport;

namespace Millau.Tests.Wire;

/// <summary>Switches of protocols, granted and refused.</summary>
public class UpgradeTests
{
    private const string Switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: b\r\n\r\n";
    private const string Get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

    private static string Upgrade(string protocol) =>
        $"GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {protocol}\r\nSec-WebSocket-Key: k\r\n\r\n";

    [Fact]
    public async Task A_websocket_is_a_tunnel_both_ways()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Upgrade("websocket"));
        var upstream = await instance.AcceptAsync();
        var request = await upstream.ReadHeadAsync();
        await upstream.SendAsync(Switching + "early");
        var head = await client.ReadHeadAsync();

        Assert.Contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", request);
        Assert.Contains("\r\nSec-WebSocket-Key: k\r\n", request);
        Assert.StartsWith("HTTP/1.1 101 Switching Protocols\r\n", head);
        Assert.Contains("\r\nConnection: Upgrade\r\n", head);
        Assert.Contains("\r\nUpgrade: websocket\r\n", head);
        Assert.Contains("\r\nX-A: b\r\n", head);
        Assert.DoesNotContain("Content-Length", head);
        Assert.DoesNotContain("Transfer-Encoding", head);
        Assert.Equal("early", await client.ReadAsync(5));
        for (var i = 0; i < 10; i++)
        {
            await client.SendAsync($"to{i}\0");
            Assert.Equal($"to{i}\0", await upstream.ReadUntilAsync("\0"));
            await upstream.SendAsync($"from{i}\0");
            Assert.Equal($"from{i}\0", await client.ReadUntilAsync("\0"));
        }
    }

    [Fact]
    public async Task A_tunnel_goes_on_both_ways_while_the_process_waits_for_its_end()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Upgrade("websocket"));
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync(Switching);
        await client.ReadHeadAsync();

        // Beyond the time in which idle connections are left alone.
        var drain = proxy.Proxy.DrainAsync(TimeSpan.FromSeconds(10));
        for (var i = 0; !drain.IsCompleted && i < 20; i++)
        {
            await client.SendAsync($"to{i}\0");
            Assert.Equal($"to{i}\0", await upstream.ReadUntilAsync("\0"));
            await upstream.SendAsync($"from{i}\0");
            Assert.Equal($"from{i}\0", await client.ReadUntilAsync("\0"));
            await Task.WhenAny(drain, Task.Delay(TimeSpan.FromMilliseconds(250)));
        }
        await upstream.DisposeAsync();

        Assert.Equal("", await client.ReadToEndAsync());
        await drain.WaitAsync(ScriptedConnection.Deadline);
    }

    [Fact]
    public async Task When_the_instance_ends_a_tunnel_the_client_sees_the_end()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Upgrade("websocket"));
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync(Switching);
        await client.ReadHeadAsync();

        await upstream.SendAsync("last");
        await upstream.DisposeAsync();

        Assert.Equal("last", await client.ReadToEndAsync());
    }

    [Fact]
    public async Task When_the_client_ends_a_tunnel_the_instance_sees_the_end()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        var client = await proxy.ConnectAsync();
        await client.SendAsync(Upgrade("websocket"));
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync(Switching);
        await client.ReadHeadAsync();

        await client.SendAsync("last");
        Assert.Equal("last", await upstream.ReadAsync(4));
        await client.DisposeAsync();

        Assert.Equal("", await upstream.ReadToEndAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_ends_its_side_of_a_tunnel_still_gets_what_the_instance_has_to_say(bool goesSilentFirst)
    {
        Assert.SkipUnless(EventLoops.AreSupported, "The framework's sockets take the end of a client's side for its going.");
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Upgrade("tcp"));
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync(Switching);
        await client.ReadHeadAsync();

        await client.SendAsync("last words");
        if (goesSilentFirst) Assert.Equal("last words", await upstream.ReadAsync(10));
        client.Socket.Shutdown(SocketShutdown.Send);
        Assert.Equal(goesSilentFirst ? "" : "last words", await upstream.ReadToEndAsync());
        // More than what the kernel takes in one go.
        var answer = new string('x', 300_000);
        await upstream.SendAsync(answer);
        await upstream.DisposeAsync();

        Assert.Equal(answer, await client.ReadToEndAsync());
    }

    [Fact]
    public async Task Bytes_that_come_before_the_switch_wait_for_it()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Upgrade("websocket") + Get);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        Assert.Equal(0, upstream.Socket.Available);
        await upstream.SendAsync(Switching);

        Assert.Equal(Get, await upstream.ReadHeadAsync());
    }

    [Theory]
    [InlineData("200 OK")]
    [InlineData("403 Forbidden")]
    [InlineData("426 Upgrade Required")]
    public async Task After_a_refused_upgrade_nothing_the_client_sent_ahead_is_taken_for_a_request(string status)
    {
        await using var instance = ScriptedInstance.Answering($"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        var answer = await proxy.RoundTripAsync(Upgrade("websocket") + Get);

        Assert.StartsWith($"HTTP/1.1 {status}\r\n", answer);
        Assert.Contains("\r\nConnection: close\r\n", answer);
        Assert.EndsWith("\r\n\r\nno", answer);
        Assert.Equal(answer.IndexOf("HTTP/1.1", StringComparison.Ordinal), answer.LastIndexOf("HTTP/1.1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Any_protocol_may_be_switched_to_and_the_instance_chooses()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Upgrade("tcp, other/2"));
        var upstream = await instance.AcceptAsync();
        Assert.Contains("\r\nUpgrade: tcp, other/2\r\n", await upstream.ReadHeadAsync());
        await upstream.SendAsync("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");

        Assert.Contains("\r\nUpgrade: tcp\r\n", await client.ReadHeadAsync());
    }

    [Fact]
    public async Task Cleartext_http2_is_not_switched_to()
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n");

        Assert.EndsWith("ok", await client.ReadResponseAsync());
        Assert.DoesNotContain("Upgrade", seen);
        Assert.DoesNotContain("HTTP2-Settings", seen);
        Assert.DoesNotContain("Connection", seen);
    }
}
