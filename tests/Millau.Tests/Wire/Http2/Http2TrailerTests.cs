namespace Millau.Tests.Wire.Http2;

/// <summary>Fields behind a body, both ways.</summary>
public class Http2TrailerTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task Trailers_of_a_request_go_to_the_instance_behind_the_last_chunk()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("POST").Add("trailer", "x-sum, host, x-more"), end: false);
        await client.SendDataAsync(stream, "hello");
        await client.SendHeadersAsync(stream, new HeaderBlock().Add("x-sum", "5").Add("x-more", "\u00e9")
            .Add("content-length", "9").Add("host", "b.test").Add("transfer-encoding", "gzip").Add("authorization", "x")
            .Add("x-forwarded-for", "1.2.3.4").Add("cookie", "a=b"), end: true);
        var upstream = await instance.AcceptAsync();

        Assert.Contains("\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum, x-more\r\n", await upstream.ReadHeadAsync());
        Assert.Equal("5\r\nhello\r\n0\r\nx-sum: 5\r\nx-more: \u00e9\r\n\r\n", await upstream.ReadUntilAsync("\r\n\r\n"));
        await upstream.SendAsync(Ok);
        Assert.Equal("ok", (await client.AnswerAsync(stream)).Body);
        Assert.Equal("ok", await SecondAsync(client, upstream));
    }

    [Fact]
    public async Task Trailers_behind_a_body_of_known_length_have_no_place_in_http11_and_end_here()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("POST").Add("content-length", "5"), end: false);
        await client.SendDataAsync(stream, "hello");
        await client.SendHeadersAsync(stream, new HeaderBlock().Add("x-sum", "5"), end: true);
        var upstream = await instance.AcceptAsync();

        Assert.EndsWith("\r\n\r\nhello", await upstream.ReadResponseAsync());
        await upstream.SendAsync(Ok);
        Assert.Equal("ok", (await client.AnswerAsync(stream)).Body);
        Assert.Equal("ok", await SecondAsync(client, upstream));
    }

    [Fact]
    public async Task Trailers_of_a_response_reach_the_client_behind_the_body()
    {
        await using var instance = ScriptedInstance.Answering(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Status, Content-Length\r\n\r\n3\r\nabc\r\n0\r\n" +
            "Grpc-Status: 0\r\nGrpc-Message:  fine \r\nContent-Length: 9\r\nSet-Cookie: a=b\r\nConnection: close\r\n\r\n");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        for (var i = 0; i < 3; i++)
        {
            var answer = await client.GetAsync(Http2Client.Request().Add("te", "trailers"));

            Assert.True(answer.IsWhole);
            Assert.Equal("abc", answer.Body);
            Assert.Equal("Grpc-Status", answer["trailer"]);
            Assert.Equal([("grpc-message", "fine"), ("grpc-status", "0")], answer.Trailers.Order());
        }
        Assert.Equal(1, instance.Connections);
    }

    [Fact]
    public async Task Trailers_behind_an_empty_body_arrive_too()
    {
        await using var instance = ScriptedInstance.Answering(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-End: 1\r\n\r\n");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var answer = await client.GetAsync();

        Assert.Equal([("x-end", "1")], answer.Trailers);
    }

    [Theory]
    [InlineData("X(A): 1\r\n")]
    [InlineData("X-A : 1\r\n")]
    [InlineData("X-A: a\0b\r\n")]
    [InlineData(" folded\r\n")]
    [InlineData("nocolon\r\n")]
    public async Task A_broken_trailer_section_is_no_end_of_an_answer(string section)
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + section + "\r\n");
            await connection.ReadToEndAsync();
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var answer = await client.GetAsync();

        Assert.False(answer.IsWhole);
        Assert.Equal(Http2Error.InternalError, answer.ResetCode);
    }

    [Fact]
    public async Task That_a_client_takes_trailers_is_passed_on()
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        await client.GetAsync(Http2Client.Request().Add("te", "trailers"));

        Assert.Contains("\r\nTE: trailers\r\nConnection: TE\r\n", seen);
    }

    // The connection to the instance is in step: the next request goes over it.
    private static async Task<string> SecondAsync(Http2Client client, ScriptedConnection upstream)
    {
        var stream = await client.OpenAsync(Http2Client.Request(path: "/second"), end: true);
        Assert.StartsWith("GET /second HTTP/1.1\r\n", await upstream.ReadHeadAsync());
        await upstream.SendAsync(Ok);
        return (await client.AnswerAsync(stream)).Body;
    }
}
