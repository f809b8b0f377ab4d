using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Millau.Tests.Shared;

namespace Millau.Tests.Wire;

/// <summary>The end of a proxy that loses no request.</summary>
public class DrainTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task A_request_in_flight_finishes_and_a_kept_connection_gets_one_more_answer()
    {
        var time = new FakeTimeProvider();
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(instance.EndPoint));
        await using var busy = await proxy.ConnectAsync();
        await using var kept = await proxy.ConnectAsync();
        await kept.SendAsync(Get);
        var first = await instance.AcceptAsync();
        await first.ReadHeadAsync();
        await first.SendAsync(Ok);
        Assert.DoesNotContain("Connection: close", await kept.ReadResponseAsync());
        await busy.SendAsync(Get);
        await first.ReadHeadAsync();

        var drain = proxy.Proxy.DrainAsync(TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(() => IsRefusedAsync(proxy).GetAwaiter().GetResult());
        await kept.SendAsync(Get);
        var second = await instance.AcceptAsync();
        await second.ReadHeadAsync();
        await second.SendAsync(Ok);
        var answer = await kept.ReadToEndAsync();
        Assert.Contains("\r\nConnection: close\r\n", answer);
        Assert.EndsWith("\r\n\r\nok", answer);
        Assert.False(drain.IsCompleted);
        await first.SendAsync(Ok);

        Assert.EndsWith("\r\n\r\nok", await busy.ReadResponseAsync());
        await busy.DisposeAsync();
        await TestProxy.PassTimeAsync(time, WithResultAsync(drain));
    }

    [Fact]
    public async Task A_client_that_connects_while_the_listener_closes_is_served_or_refused_but_never_reset()
    {
        for (var round = 0; round < 5; round++)
        {
            await using var instance = ScriptedInstance.Answering(Ok);
            await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
            var served = 0;
            var clients = Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
            {
                while (true)
                {
                    using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                    try
                    {
                        await socket.ConnectBlockingAsync(proxy.EndPoint);
                    }
                    catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
                    {
                        return;
                    }
                    await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes(Get));
                    Assert.NotEqual(0, await socket.ReceiveAsync(new byte[4096]));
                    Interlocked.Increment(ref served);
                }
            })).ToArray();
            await Eventually.TrueAsync(() => served > 50);
            var drain = proxy.Proxy.DrainAsync(TimeSpan.FromSeconds(10));
            await Task.WhenAll(clients).WaitAsync(TimeSpan.FromSeconds(30));
            await drain;
        }
    }

    [Fact]
    public async Task Idle_connections_are_closed_after_the_lame_duck_time()
    {
        var time = new FakeTimeProvider();
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(instance.EndPoint));
        await using var idle = await proxy.ConnectAsync();
        await idle.SendAsync(Get);
        await idle.ReadResponseAsync();

        var drain = proxy.Proxy.DrainAsync(TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(() => IsRefusedAsync(proxy).GetAwaiter().GetResult());
        Assert.False(idle.Socket.Poll(0, SelectMode.SelectRead));
        await TestProxy.PassTimeAsync(time, WithResultAsync(drain));

        Assert.Equal("", await idle.ReadToEndAsync());
    }

    [Theory]
    [InlineData("")]
    [InlineData("\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003")]
    public async Task A_client_that_is_silent_in_its_handshake_is_cut_after_the_lame_duck_time(string beginning)
    {
        var time = new FakeTimeProvider();
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service());
        await using var silent = await ScriptedConnection.ConnectAsync(proxy.TlsEndPoint);
        await silent.SendAsync(beginning);
        await Eventually.TrueAsync(() => proxy.Proxy.Https.OpenConnections == 1);

        var started = time.GetUtcNow();
        var drain = proxy.Proxy.DrainAsync(TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(() => IsRefusedAsync(proxy).GetAwaiter().GetResult());
        Assert.False(silent.Socket.Poll(0, SelectMode.SelectRead));
        // Far from the end of the grace.
        var ended = silent.ReadToEndAsync();
        await Eventually.TrueAsync(() =>
        {
            if (time.GetUtcNow() - started < TimeSpan.FromSeconds(20)) time.Advance(TimeSpan.FromMilliseconds(100));
            return ended.IsCompleted;
        });

        Assert.Equal("", await ended);
        await drain.WaitAsync(ScriptedConnection.Deadline);
    }

    [Fact]
    public async Task A_handshake_that_is_under_way_at_the_stop_ends_and_its_request_is_served()
    {
        var time = new FakeTimeProvider();
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(instance.EndPoint));
        await using var plain = await ScriptedConnection.ConnectAsync(proxy.TlsEndPoint);
        await Eventually.TrueAsync(() => proxy.Proxy.Https.OpenConnections == 1);

        var drain = proxy.Proxy.DrainAsync(TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(() => IsRefusedAsync(proxy).GetAwaiter().GetResult());
        await using var client = await plain.BeginTlsAsync(new() { TargetHost = "a.test" });
        await client.SendAsync(Get);
        var answer = await client.ReadToEndAsync();

        Assert.Contains("\r\nConnection: close\r\n", answer);
        Assert.EndsWith("\r\n\r\nok", answer);
        await client.DisposeAsync();
        await TestProxy.PassTimeAsync(time, WithResultAsync(drain));
    }

    [Fact]
    public async Task Without_connections_it_ends_at_once()
    {
        await using var proxy = await TestProxy.StartAsync(new FakeTimeProvider(), TestProxy.Service());

        await proxy.Proxy.DrainAsync(TimeSpan.FromSeconds(30)).WaitAsync(ScriptedConnection.Deadline);

        Assert.True(await IsRefusedAsync(proxy));
    }

    [Fact]
    public async Task What_outlasts_the_grace_is_cut()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Get);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();

        await proxy.Proxy.DrainAsync(TimeSpan.FromMilliseconds(200)).WaitAsync(ScriptedConnection.Deadline);

        Assert.Equal("", await client.ReadToEndAsync());
        Assert.Equal("", await upstream.ReadToEndAsync());
    }

    private static async Task<bool> WithResultAsync(Task task)
    {
        await task;
        return true;
    }

    private static async Task<bool> IsRefusedAsync(TestProxy proxy)
    {
        try
        {
            await using var client = await proxy.ConnectAsync();
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }
}
