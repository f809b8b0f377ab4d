using System.Net.Sockets;
using Millau.Ingress;
using Millau.Tests.Wire;

namespace Millau.Tests.Hostile;

/// <summary>Row 27 of docs/hostile.md: who is slow is cut, and others notice nothing. The server looks at its times once a second.</summary>
public class SlowClientTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private static readonly ClientRules Impatient = new()
    {
        Limits = new ClientLimits
        {
            Header = TimeSpan.FromSeconds(2), Body = TimeSpan.FromSeconds(2), Idle = TimeSpan.FromSeconds(2),
            Reader = TimeSpan.FromSeconds(2), Connections = 8,
        },
    };

    [Fact]
    public async Task A_head_that_does_not_end_is_a_408()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(Impatient, TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        var answer = client.ReadToEndAsync();

        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.te");
        Assert.EndsWith("\r\n\r\nok", await proxy.GetAsync());

        Assert.StartsWith("HTTP/1.1 408 ", await answer);
        Assert.Equal(1, instance.Connections);
    }

    [Fact]
    public async Task A_body_that_stops_is_a_408_and_the_instance_does_not_take_it_for_whole()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(Impatient, TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf");
        var upstream = await instance.AcceptAsync();
        var received = await upstream.ReadToEndAsync();
        var answer = await client.ReadToEndAsync();

        Assert.EndsWith("\r\n\r\nhalf", received);
        if (answer.Length > 0) Assert.StartsWith("HTTP/1.1 408 ", answer);
    }

    [Fact]
    public async Task A_connection_that_lies_idle_is_closed()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(Impatient, TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        await client.ReadResponseAsync();

        Assert.Equal("", await client.ReadToEndAsync());
    }

    [Fact]
    public async Task A_client_that_does_not_read_is_cut_and_so_is_the_connection_to_the_instance()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(Impatient, TestProxy.Service(instance.EndPoint));
        await using var client = await ScriptedConnection.ConnectAsync(proxy.EndPoint, receiveBuffer: 4096);
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");

        // More than the buffers on the way hold; it ends when the connection does.
        var block = new byte[64 * 1024];
        var sent = 0L;
        try
        {
            while (sent < 1_000_000_000)
            {
                await upstream.SendAsync(block);
                sent += block.Length;
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
        }

        Assert.True(sent < 100_000_000, $"{sent} bytes were taken for a client that does not read");
        await using var other = await proxy.ConnectAsync();
        await other.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        var second = await instance.AcceptAsync();
        await second.ReadHeadAsync();
        await second.SendAsync(Ok);
        Assert.EndsWith("\r\n\r\nok", await other.ReadResponseAsync());
    }

    [Fact]
    public async Task Connections_beyond_the_limit_are_closed_and_room_is_given_again()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(Impatient, TestProxy.Service(instance.EndPoint));
        var held = new List<ScriptedConnection>();
        for (var i = 0; i < Impatient.Limits.Connections; i++)
        {
            held.Add(await proxy.ConnectAsync());
            await held[i].SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            Assert.EndsWith("\r\n\r\nok", await held[i].ReadResponseAsync());
        }

        await using var beyond = await proxy.ConnectAsync();
        Assert.Equal("", await beyond.ReadToEndAsync());

        foreach (var connection in held) await connection.DisposeAsync();
        for (var served = false; !served;)
            served = (await proxy.GetAsync()).EndsWith("\r\n\r\nok", StringComparison.Ordinal);
    }
}
