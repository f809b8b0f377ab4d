using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Millau.Ingress;

namespace Millau.Tests.Wire;

/// <summary>The end of a connection whose client may still be sending (RFC 9112 section 9.6).</summary>
public class LingeringCloseTests
{
    private const string TooLarge = "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: ";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_goes_on_sending_gets_its_answer_and_is_not_reset(bool tls)
    {
        await using var proxy = await TestProxy.StartUnprobedAsync(new FakeTimeProvider(), null);
        await using var client = tls ? await proxy.ConnectTlsAsync() : await proxy.ConnectAsync();
        await client.SendAsync(TooLarge + new string('a', 40 * 1024));

        var answer = await client.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 431 ", answer);
        Assert.False(client.HasFailed);

        // Each of these would be answered by a reset, which the next one or the receive meets.
        for (var i = 0; i < 20; i++)
        {
            await client.Socket.SendAsync(new byte[10_000]);
            Assert.False(client.Socket.Poll(TimeSpan.FromMilliseconds(5), SelectMode.SelectError));
        }
        Assert.Equal(0, await client.Socket.ReceiveAsync(new byte[1]));
    }

    [Fact]
    public async Task A_body_that_nobody_wants_does_not_cost_the_answer()
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync("POST / HTTP/1.0\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n");
        var sending = Task.Run(async () =>
        {
            for (var i = 0; i < 100; i++) await client.SendAsync(new string('b', 10_000));
        }, TestContext.Current.CancellationToken);

        Assert.EndsWith("\r\n\r\nno", await client.ReadToEndAsync());
        await sending;
        Assert.False(client.HasFailed);
    }

    [Fact]
    public async Task A_client_that_never_ends_its_side_is_closed_in_the_end()
    {
        var time = new FakeTimeProvider();
        await using var proxy = await TestProxy.StartUnprobedAsync(time, null);
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(TooLarge + new string('a', 40 * 1024));
        await client.ReadToEndAsync();
        await client.Socket.SendAsync(new byte[1]);
        Assert.False(client.Socket.Poll(TimeSpan.FromMilliseconds(5), SelectMode.SelectError));

        time.Advance(LingeringClose.Longest);
        await Eventually.TrueAsync(() => IsClosedTo(client));
    }

    [Theory]
    [InlineData("HTTP/1.1", "Connection: close\r\n")]
    [InlineData("HTTP/1.0", "")]
    public async Task A_client_that_said_that_its_request_is_the_last_is_closed_without_being_waited_for(string version, string fields)
    {
        await using var proxy = await TestProxy.StartUnprobedAsync(new FakeTimeProvider(), null);
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync($"GET / {version}\r\nHost: a.test\r\n{fields}\r\n");

        Assert.StartsWith("HTTP/1.1 502 ", await client.ReadToEndAsync());
        Assert.False(client.HasFailed);
        // Its side is open still, and no time has passed.
        await Eventually.TrueAsync(() => IsClosedTo(client));
    }

    [Fact]
    public async Task A_client_that_said_so_and_sends_another_all_the_same_gets_its_answer()
    {
        await using var proxy = await TestProxy.StartUnprobedAsync(new FakeTimeProvider(), null);
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 502 ", await client.ReadToEndAsync());
        Assert.False(client.HasFailed);
        await client.Socket.SendAsync(new byte[1]);
        Assert.False(client.Socket.Poll(TimeSpan.FromMilliseconds(5), SelectMode.SelectError));
    }

    [Fact]
    public async Task A_server_that_stops_does_not_wait_for_it()
    {
        var proxy = await TestProxy.StartUnprobedAsync(new FakeTimeProvider(), null);
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(TooLarge + new string('a', 40 * 1024));
        await client.ReadToEndAsync();

        await proxy.DisposeAsync().AsTask().WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
    }

    private static bool IsClosedTo(ScriptedConnection client)
    {
        try
        {
            return client.Socket.Send(new byte[1]) == 0;
        }
        catch (SocketException)
        {
            return true;
        }
    }
}
