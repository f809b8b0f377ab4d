namespace Millau.Tests.Wire;

/// <summary>Fields behind a chunked body, both ways, over HTTP/1.1.</summary>
public class TrailerTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private const string Chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" +
        "5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\nX-Two: a\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\n";

    [Fact]
    public async Task Trailers_of_a_request_go_to_the_instance_less_those_that_have_no_business_there()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(
            "POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Content-Length,,(\r\nTrailer: Host\r\n\r\n" +
            "5\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 5\r\nHost: b.test\r\nTransfer-Encoding: x\r\nAuthorization: x\r\n" +
            "X-Forwarded-For: 1.2.3.4\r\nIdempotency-Key: 1\r\n\r\n");
        var upstream = await instance.AcceptAsync();

        Assert.Contains("\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n", await upstream.ReadHeadAsync());
        Assert.Equal("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", await upstream.ReadUntilAsync("\r\n\r\n"));
        await upstream.SendAsync(Ok);
        Assert.EndsWith("ok", await client.ReadResponseAsync());
        await client.SendAsync("GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n");
        Assert.StartsWith("GET /second HTTP/1.1\r\n", await upstream.ReadHeadAsync());
    }

    [Fact]
    public async Task Trailers_are_sent_again_with_the_body_when_an_instance_fails()
    {
        await using var dead = new ScriptedInstance(async c => await c.ReadUntilAsync("X-Sum: 1\r\n\r\n"));
        var seen = new List<string>();
        await using var alive = new ScriptedInstance(async c =>
        {
            while (await c.ReadUntilAsync("X-Sum: 1\r\n\r\n") is { Length: > 0 } request)
            {
                lock (seen) seen.Add(request);
                await c.SendAsync(Ok);
            }
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(dead.EndPoint, alive.EndPoint));

        for (var i = 0; i < 2; i++)
        {
            await using var client = await proxy.ConnectAsync();
            await client.SendAsync("PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
            Assert.EndsWith("ok", await client.ReadResponseAsync());
        }

        Assert.Equal(2, seen.Count);
        Assert.All(seen, request => Assert.EndsWith("\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", request));
        Assert.Equal(1, dead.Connections);
    }

    [Fact]
    public async Task A_client_that_takes_trailers_gets_those_of_the_response_whatever_its_pieces_are()
    {
        var split = 0;
        await using var instance = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 } head)
            {
                Assert.Contains("\r\nTE: trailers\r\nConnection: TE\r\n", head);
                await connection.SendAsync(Chunked[..split]);
                await Task.Yield();
                await connection.SendAsync(Chunked[split..]);
            }
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        for (split = 1; split < Chunked.Length; split += 3)
        {
            await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: TE, keep-alive\r\n\r\n");
            var head = await client.ReadHeadAsync();
            Assert.Contains("\r\nTransfer-Encoding: chunked\r\n", head);
            Assert.Contains("\r\nTrailer: X-Sum\r\n", head);
            var body = await client.ReadUntilAsync("\r\n\r\n");
            Assert.EndsWith("\r\n0\r\nX-Sum: 11\r\nX-Two: a\r\n\r\n", body);
            Assert.Equal("hello world", Unchunk(body));
        }

        Assert.Equal(1, instance.Connections);
    }

    [Fact]
    public async Task A_client_that_takes_trailers_sees_a_broken_off_answer_as_one()
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        var answer = await proxy.RoundTripAsync("GET / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n");

        Assert.DoesNotContain("\r\n0\r\n", answer);
    }

    [Fact]
    public async Task A_client_that_takes_none_gets_the_body_alone()
    {
        await using var instance = ScriptedInstance.Answering(Chunked);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");

        Assert.DoesNotContain("Trailer", await client.ReadHeadAsync());
        Assert.Equal("hello world", Unchunk(await client.ReadUntilAsync("0\r\n\r\n")));
    }

    [Fact]
    public async Task An_answer_without_a_body_is_one_to_a_client_that_takes_trailers()
    {
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        for (var i = 0; i < 2; i++)
        {
            await client.SendAsync("HEAD / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: TE, keep-alive\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 200 OK\r\n", await client.ReadHeadAsync());
        }
    }

    private static string Unchunk(string body)
    {
        var text = "";
        while (true)
        {
            var line = body.IndexOf("\r\n", StringComparison.Ordinal);
            var size = Convert.ToInt32(body[..line], 16);
            if (size == 0) return text;
            text += body.Substring(line + 2, size);
            body = body[(line + 2 + size + 2)..];
        }
    }
}
