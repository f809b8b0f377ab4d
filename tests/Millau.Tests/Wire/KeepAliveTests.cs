using Microsoft.Extensions.Time.Testing;

namespace Millau.Tests.Wire;

/// <summary>Which connections to instances are used again, and which must not be.</summary>
public class KeepAliveTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData("HTTP/1.1 200 OK\r\nConnection: X, Close\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")]
    public async Task Such_an_answer_ends_its_connection(string answer)
    {
        await using var instance = ScriptedInstance.Answering(answer);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        for (var i = 0; i < 3; i++)
        {
            await client.SendAsync("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n");
            var head = await client.ReadHeadAsync();
            Assert.StartsWith("HTTP/1.1 200 OK\r\n", head);
            Assert.Equal("ok", await client.ReadAsync(2));
            // Of unknown length for an old client: its connection ends with the body.
            if (head.Contains("keep-alive", StringComparison.Ordinal)) continue;
            Assert.Equal("", await client.ReadToEndAsync());
            break;
        }
        Assert.EndsWith("ok", (await proxy.GetAsync()).Replace("\r\n0\r\n\r\n", "", StringComparison.Ordinal));

        Assert.True(instance.Connections > 1);
        Assert.Equal(0, proxy.Log.Count("left out"));
    }

    [Fact]
    public async Task What_is_refused_behind_an_answer_in_chunks_is_answered_as_any_other()
    {
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Get);
        await client.ReadUntilAsync("\r\n0\r\n\r\n");
        await client.SendAsync("GET / HTTP/1.1\r\nno colon\r\n\r\n");
        var answer = await client.ReadToEndAsync();

        Assert.StartsWith("HTTP/1.1 400 Bad Request\r\n", answer);
        var body = answer[(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
        Assert.Contains($"\r\nContent-Length: {body.Length}\r\n", answer);
        Assert.StartsWith("Bad request: ", body);
    }

    [Theory]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")]
    [InlineData("GET", "HTTP/1.1 204 No Content\r\n\r\nevil")]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil")]
    public async Task A_body_where_none_may_be_reaches_nobody(string method, string answer)
    {
        await using var instance = ScriptedInstance.Answering(answer);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        for (var i = 0; i < 3; i++)
        {
            await client.SendAsync($"{method} / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            Assert.StartsWith(answer[..14], await client.ReadHeadAsync());
        }

        Assert.Equal(3, instance.Connections);
        Assert.Equal(0, client.Socket.Available);
    }

    [Fact]
    public async Task The_connection_used_last_is_used_first()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var one = await proxy.ConnectAsync();
        await one.SendAsync(Get);
        var first = await instance.AcceptAsync();
        await first.ReadHeadAsync();
        // Clients go to the event loops in turn, of which there is one for each processor, and each prefers connections of its own loop.
        for (var i = 1; i < Environment.ProcessorCount; i++)
        {
            await using var other = await proxy.ConnectAsync();
            await other.SendAsync("GET / HTTP/1.1\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 400", await other.ReadHeadAsync());
        }
        await using var two = await proxy.ConnectAsync();
        await two.SendAsync(Get);
        var second = await instance.AcceptAsync();
        await second.ReadHeadAsync();
        // The second one is returned first, so the first one was used last.
        await second.SendAsync(Ok);
        await two.ReadResponseAsync();
        await first.SendAsync(Ok);
        await one.ReadResponseAsync();

        for (var i = 0; i < 3; i++)
        {
            await two.SendAsync(Get);
            Assert.StartsWith("GET ", await first.ReadHeadAsync());
            await first.SendAsync(Ok);
            await two.ReadResponseAsync();
        }

        Assert.Equal(0, second.Socket.Available);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")]
    [InlineData("x")]
    public async Task An_idle_connection_that_ends_or_speaks_is_not_used_again(string? stray)
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Get);
        var first = await instance.AcceptAsync();
        await first.ReadHeadAsync();
        await first.SendAsync(Ok);
        await client.ReadResponseAsync();

        if (stray is null) first.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        else await first.SendAsync(stray);
        // The proxy closes what it no longer trusts, without being asked.
        Assert.Equal("", await first.ReadToEndAsync());
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
        var second = await instance.AcceptAsync();
        Assert.StartsWith("POST ", await second.ReadHeadAsync());
        await second.SendAsync(Ok);

        Assert.EndsWith("ok", await client.ReadResponseAsync());
    }

    [Theory]
    [InlineData("", 61, 58)]
    [InlineData("Keep-Alive: timeout=5, max=100\r\n", 5, 3)]
    public async Task An_idle_connection_is_closed_before_the_instance_would(string fields, int closedAfter, int openAfter)
    {
        var time = new FakeTimeProvider();
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Get);
        var first = await instance.AcceptAsync();
        await first.ReadHeadAsync();
        await first.SendAsync($"HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
        await client.ReadResponseAsync();
        // The connection is in the pool once another request has had it.
        await client.SendAsync(Get);
        await first.ReadHeadAsync();
        await first.SendAsync($"HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
        await client.ReadResponseAsync();

        time.Advance(TimeSpan.FromSeconds(openAfter));
        Assert.False(first.Socket.Poll(0, System.Net.Sockets.SelectMode.SelectRead));
        time.Advance(TimeSpan.FromSeconds(closedAfter - openAfter));

        await Eventually.TrueAsync(() =>
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            return first.Socket.Poll(0, System.Net.Sockets.SelectMode.SelectRead);
        });
        Assert.Equal("", await first.ReadToEndAsync());
    }

    [Fact]
    public async Task Idle_connections_end_with_their_instance_and_used_ones_with_their_request()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var one = await proxy.ConnectAsync();
        await using var two = await proxy.ConnectAsync();
        await one.SendAsync(Get);
        var used = await instance.AcceptAsync();
        await used.ReadHeadAsync();
        await two.SendAsync(Get);
        var idle = await instance.AcceptAsync();
        await idle.ReadHeadAsync();
        await idle.SendAsync(Ok);
        await two.ReadResponseAsync();

        proxy.Apply(TestProxy.Service());

        Assert.Equal("", await idle.ReadToEndAsync());
        await used.SendAsync(Ok);
        Assert.EndsWith("ok", await one.ReadResponseAsync());
        Assert.Equal("", await used.ReadToEndAsync());
    }

    [Theory]
    [InlineData("GET", true)]
    [InlineData("POST", false)]
    public async Task A_kept_connection_that_dies_unanswered_does_not_speak_against_its_instance(string method, bool retried)
    {
        await using var instance = new ScriptedInstance();
        await using var other = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Get);
        var first = await instance.AcceptAsync();
        await first.ReadHeadAsync();
        await first.SendAsync(Ok);
        await client.ReadResponseAsync();

        await client.SendAsync($"{method} / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody");
        Assert.EndsWith("body", await first.ReadResponseAsync());
        await first.DisposeAsync();

        if (retried)
        {
            var second = await instance.AcceptAsync();
            Assert.EndsWith("body", await second.ReadResponseAsync());
            await second.SendAsync(Ok);
        }
        Assert.StartsWith(retried ? "HTTP/1.1 200 " : "HTTP/1.1 502 ", await client.ReadResponseAsync());
        Assert.Equal(retried ? 2 : 1, instance.Connections);
        Assert.Equal(0, proxy.Log.Count("left out"));
    }

    [Fact]
    public async Task After_a_kept_and_a_fresh_connection_the_instance_has_had_its_turn()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Get);
        var first = await instance.AcceptAsync();
        await first.ReadHeadAsync();
        await first.SendAsync(Ok);
        await client.ReadResponseAsync();

        await client.SendAsync(Get);
        await first.ReadHeadAsync();
        await first.DisposeAsync();
        var second = await instance.AcceptAsync();
        await second.ReadHeadAsync();
        await second.DisposeAsync();

        Assert.StartsWith("HTTP/1.1 502 ", await client.ReadResponseAsync());
        Assert.Equal(2, instance.Connections);
        Assert.Equal(1, proxy.Log.Count("instance left out"));
    }

    [Fact]
    public async Task An_answer_before_the_end_of_the_body_costs_the_connection()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello");
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        Assert.Equal("hello", await upstream.ReadAsync(5));
        await upstream.SendAsync(Ok);

        Assert.EndsWith("ok", await client.ReadResponseAsync());
        Assert.Equal("", await upstream.ReadToEndAsync());
        // The client is still understood, whether it finishes its body or not.
        await client.SendAsync("world" + Get);
        var next = await instance.AcceptAsync();
        Assert.StartsWith("GET / HTTP/1.1\r\n", await next.ReadHeadAsync());
        await next.SendAsync(Ok);
        Assert.EndsWith("ok", await client.ReadResponseAsync());
    }
}
