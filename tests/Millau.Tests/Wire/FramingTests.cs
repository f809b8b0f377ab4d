namespace Millau.Tests.Wire;

/// <summary>Bodies in each framing, both ways, and responses that have none.</summary>
public class FramingTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

    [Fact]
    public async Task A_body_of_known_length_goes_to_the_instance_with_its_length()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 11\r\n\r\nhello");
        var upstream = await instance.AcceptAsync();
        var head = await upstream.ReadHeadAsync();
        Assert.Equal("hello", await upstream.ReadAsync(5));
        await client.SendAsync(" world");
        Assert.Equal(" world", await upstream.ReadAsync(6));
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

        Assert.Contains("\r\nContent-Length: 11\r\n", head);
        Assert.DoesNotContain("Transfer-Encoding", head);
        Assert.EndsWith("\r\n\r\nok", await client.ReadResponseAsync());
    }

    [Fact]
    public async Task A_chunked_body_goes_to_the_instance_chunked()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(
            "POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n");
        var upstream = await instance.AcceptAsync();
        var head = await upstream.ReadHeadAsync();
        Assert.Equal("5\r\nhello\r\n", await upstream.ReadAsync(10));
        await client.SendAsync("1\r\n!\r\n0\r\n\r\n");
        Assert.Equal("1\r\n!\r\n0\r\n\r\n", await upstream.ReadAsync(11));
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

        Assert.Contains("\r\nTransfer-Encoding: chunked\r\n", head);
        Assert.DoesNotContain("Content-Length", head);
        Assert.EndsWith("\r\n\r\nok", await client.ReadResponseAsync());
    }

    [Fact]
    public async Task An_empty_chunked_body_is_one()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        var upstream = await instance.AcceptAsync();

        Assert.EndsWith("\r\n\r\n0\r\n\r\n", await upstream.ReadUntilAsync("\r\n0\r\n\r\n"));
    }

    [Theory]
    [InlineData("POST", "Content-Length: 0\r\n", true)]
    [InlineData("POST", "", false)]
    [InlineData("GET", "", false)]
    public async Task A_request_without_a_body_gets_none(string method, string length, bool says)
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync($"{method} /x HTTP/1.1\r\nHost: a.test\r\n{length}\r\n");
        var upstream = await instance.AcceptAsync();
        var head = await upstream.ReadHeadAsync();
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");

        Assert.Equal(says, head.Contains("Content-Length: 0\r\n", StringComparison.Ordinal));
        Assert.DoesNotContain("Transfer-Encoding", head);
        Assert.StartsWith("HTTP/1.1 200", await client.ReadResponseAsync());
    }

    [Fact]
    public async Task A_chunked_answer_reaches_the_client_whatever_its_pieces_are()
    {
        const string body = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n";
        const string response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n\r\n" + body;
        var split = 0;
        await using var instance = new ScriptedInstance(async connection =>
        {
            connection.Socket.NoDelay = true;
            while (await connection.ReadHeadAsync() is { Length: > 0 })
            {
                await connection.SendAsync(response[..split]);
                await Task.Yield();
                await connection.SendAsync(response[split..]);
            }
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        for (split = 1; split < response.Length; split++)
        {
            await client.SendAsync(Get);
            var head = await client.ReadHeadAsync();
            Assert.Contains("\r\nTransfer-Encoding: chunked\r\n", head);
            Assert.DoesNotContain("Trailer", head);
            Assert.Equal("hello world", Unchunk(await client.ReadUntilAsync("0\r\n\r\n")));
        }

        Assert.Equal(1, instance.Connections);
    }

    [Fact]
    public async Task An_answer_of_known_length_reaches_the_client_whatever_its_pieces_are()
    {
        const string response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello";
        var split = 0;
        await using var instance = new ScriptedInstance(async connection =>
        {
            connection.Socket.NoDelay = true;
            while (await connection.ReadHeadAsync() is { Length: > 0 })
            {
                await connection.SendAsync(response[..split]);
                await Task.Yield();
                await connection.SendAsync(response[split..]);
            }
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        for (split = 1; split < response.Length; split++)
        {
            await client.SendAsync(Get);
            Assert.EndsWith("\r\n\r\nhello", await client.ReadResponseAsync());
        }

        Assert.Equal(1, instance.Connections);
    }

    [Fact]
    public async Task An_answer_that_ends_with_its_connection_reaches_the_client_whole()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Get);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync("HTTP/1.1 200 OK\r\n\r\nhel");
        await upstream.SendAsync("lo");
        await upstream.DisposeAsync();

        Assert.Contains("\r\nTransfer-Encoding: chunked\r\n", await client.ReadHeadAsync());
        Assert.Equal("hello", Unchunk(await client.ReadUntilAsync("0\r\n\r\n")));
    }

    [Theory]
    [InlineData("HEAD", "200 OK", "Content-Length: 1000\r\n", "Content-Length: 1000\r\n")]
    [InlineData("HEAD", "200 OK", "Transfer-Encoding: chunked\r\n", null)]
    [InlineData("GET", "304 Not Modified", "Content-Length: 1000\r\nETag: \"a\"\r\n", "ETag: \"a\"\r\n")]
    [InlineData("GET", "304 Not Modified", "", null)]
    [InlineData("GET", "304 Not Modified", "Transfer-Encoding: chunked\r\n", null)]
    [InlineData("GET", "204 No Content", "", null)]
    [InlineData("GET", "204 No Content", "Content-Length: 0\r\n", null)]
    [InlineData("DELETE", "205 Reset Content", "Content-Length: 0\r\n", null)]
    public async Task A_response_without_a_body_ends_with_its_head(string method, string status, string fields, string? expected)
    {
        await using var instance = ScriptedInstance.Answering($"HTTP/1.1 {status}\r\n{fields}\r\n");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        for (var i = 0; i < 3; i++)
        {
            await client.SendAsync($"{method} /{i} HTTP/1.1\r\nHost: a.test\r\n\r\n");
            var head = await client.ReadHeadAsync();
            Assert.StartsWith($"HTTP/1.1 {status}\r\n", head);
            if (expected is not null) Assert.Contains("\r\n" + expected, head);
            if (status.StartsWith("204", StringComparison.Ordinal)) Assert.DoesNotContain("Content-Length", head);
        }

        Assert.Equal(1, instance.Connections);
    }

    [Fact]
    public async Task A_body_behind_205_is_cut_off_and_costs_the_connection()
    {
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        var answer = await proxy.GetAsync();

        Assert.StartsWith("HTTP/1.1 205 Reset Content\r\n", answer);
        Assert.DoesNotContain("hello", answer);
        Assert.StartsWith("HTTP/1.1 205", await proxy.GetAsync());
        Assert.Equal(2, instance.Connections);
    }

    [Theory]
    [InlineData("Content-Length: 5\r\n\r\nhello")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("\r\nhello")]
    public async Task An_old_client_gets_what_it_understands(string rest)
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync("HTTP/1.1 200 OK\r\n" + rest);
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        var answer = await proxy.RoundTripAsync("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");

        Assert.EndsWith("\r\n\r\nhello", answer);
        Assert.DoesNotContain("Transfer-Encoding", answer);
    }

    [Fact]
    public async Task An_old_client_may_keep_its_connection()
    {
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        for (var i = 0; i < 3; i++)
        {
            await client.SendAsync("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n");
            var answer = await client.ReadResponseAsync();
            Assert.Contains("\r\nConnection: keep-alive\r\n", answer);
            Assert.EndsWith("\r\n\r\nhello", answer);
        }
    }

    [Fact]
    public async Task A_client_that_names_no_host_is_taken_to_mean_the_address_it_came_to()
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        var answer = await proxy.RoundTripAsync("GET / HTTP/1.0\r\n\r\n");

        Assert.EndsWith("\r\n\r\nhello", answer);
        Assert.Contains($"\r\nHost: {proxy.EndPoint}\r\n", seen);
        Assert.Contains($"\r\nX-Forwarded-Host: {proxy.EndPoint}\r\n", seen);
    }

    [Theory]
    [InlineData("Content-Length: 5\r\n", false)]
    [InlineData("", false)]
    [InlineData("Connection: keep-alive\r\nContent-Length: 5\r\n", true)]
    public async Task An_old_instance_is_understood(string fields, bool kept)
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            do
            {
                await connection.ReadHeadAsync();
                await connection.SendAsync($"HTTP/1.0 200 OK\r\n{fields}\r\nhello");
            }
            while (kept);
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        for (var i = 0; i < 3; i++)
        {
            var answer = await proxy.RoundTripAsync("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 200 OK\r\n", answer);
            Assert.EndsWith("\r\n\r\nhello", answer);
        }

        Assert.Equal(kept ? 1 : 3, instance.Connections);
    }

    [Fact]
    public async Task Pipelined_requests_are_answered_in_order()
    {
        var count = 0;
        await using var instance = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 } head)
            {
                var path = head.Split(' ')[1];
                Interlocked.Increment(ref count);
                await connection.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {path.Length}\r\n\r\n{path}");
            }
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(string.Concat(Enumerable.Range(0, 20).Select(i => $"GET /{i:00} HTTP/1.1\r\nHost: a.test\r\n\r\n")));

        for (var i = 0; i < 20; i++) Assert.EndsWith($"\r\n\r\n/{i:00}", await client.ReadResponseAsync());
        Assert.Equal(20, count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_request_behind_a_body_that_the_instance_did_not_read_is_still_itself(bool closes)
    {
        var seen = new List<string>();
        await using var instance = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 } head)
            {
                lock (seen) seen.Add(head.Split("\r\n")[0]);
                await connection.SendAsync("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
                if (closes) return;
                if (head.StartsWith("POST", StringComparison.Ordinal)) await connection.SkipAsync(100_000);
            }
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("POST /first HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 413", await client.ReadHeadAsync());
        await client.SendAsync(new string('x', 100_000) + "GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n");

        // Answered or closed, but never a part of the body taken for a request.
        var second = await client.ReadHeadAsync();
        if (second.Length > 0) Assert.StartsWith("HTTP/1.1 413", second);
        lock (seen) Assert.All(seen, line => Assert.True(line is "POST /first HTTP/1.1" or "GET /second HTTP/1.1", line));
    }

    /// <summary>Takes the framing off a chunked body without trailers.</summary>
    private static string Unchunk(string chunked)
    {
        var body = "";
        while (true)
        {
            var lineEnd = chunked.IndexOf("\r\n", StringComparison.Ordinal);
            var size = Convert.ToInt32(chunked[..lineEnd], 16);
            if (size == 0)
            {
                Assert.Equal("0\r\n\r\n", chunked);
                return body;
            }
            body += chunked.Substring(lineEnd + 2, size);
            Assert.Equal("\r\n", chunked.Substring(lineEnd + 2 + size, 2));
            chunked = chunked[(lineEnd + 4 + size)..];
        }
    }
}
