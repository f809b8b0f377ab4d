namespace Millau.Tests.Wire.Http2;

/// <summary>Requests of HTTP/2 clients, as instances of HTTP/1.1 see them, and the answers.</summary>
public class Http2ForwardingTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok";

    [Fact]
    public async Task A_request_goes_to_the_instance_as_http11_and_its_answer_comes_back()
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var answer = await client.GetAsync(Http2Client.Request(path: "/x?y", authority: "A.test:8443")
            .Add("user-agent", "t/1").Add("x-two", "1").Add("x-two", "2"));

        Assert.Equal(
            "GET /x?y HTTP/1.1\r\nHost: A.test:8443\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n" +
            "X-Forwarded-Host: A.test:8443\r\nX-Real-IP: 127.0.0.1\r\nUser-Agent: t/1\r\nx-two: 1\r\nx-two: 2\r\n\r\n",
            seen);
        Assert.Equal((200, "ok"), (answer.Status, answer.Body));
        Assert.Equal("2", answer["content-length"]);
        Assert.Equal("b", answer["x-a"]);
        Assert.Equal("1.1 millau", answer["via"]);
        Assert.Equal(TestProxy.ServedBy, answer["x-served-by"]);
        Assert.Equal("app-1", answer["x-backend-server"]);
        Assert.Null(answer["connection"]);
    }

    [Fact]
    public async Task Many_streams_of_a_connection_are_served_at_once()
    {
        const int streams = 100;
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var numbers = new List<int>();
        for (var i = 0; i < streams; i++) numbers.Add(await client.OpenAsync(Http2Client.Request(path: $"/{i}"), end: true));
        var upstreams = new List<ScriptedConnection>();
        for (var i = 0; i < streams; i++) upstreams.Add(await instance.AcceptAsync());
        foreach (var upstream in upstreams)
        {
            var path = (await upstream.ReadHeadAsync()).Split(' ')[1];
            await upstream.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {path.Length}\r\n\r\n{path}");
        }

        for (var i = 0; i < streams; i++) Assert.Equal($"/{i}", (await client.AnswerAsync(numbers[i])).Body);
    }

    [Fact]
    public async Task The_streams_of_a_connection_share_kept_connections_one_after_the_other()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        for (var i = 0; i < 50; i++) Assert.Equal(200, (await client.GetAsync()).Status);

        Assert.Equal(1, instance.Connections);
    }

    [Fact]
    public async Task Cookies_that_http2_split_are_one_field()
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        await client.GetAsync(Http2Client.Request().Add("cookie", "a=1").Add("cookie", "b=2").Add("cookie", "c=3"));

        Assert.Contains("\r\nCookie: a=1; b=2; c=3\r\n", seen);
    }

    [Theory]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "5")]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", null)]
    [InlineData("GET", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", null)]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "7")]
    public async Task An_answer_without_a_body_has_none_and_keeps_the_connection(string method, string response, string? length)
    {
        await using var instance = ScriptedInstance.Answering(response);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        for (var i = 0; i < 3; i++)
        {
            var answer = await client.GetAsync(Http2Client.Request(method));
            Assert.True(answer.IsWhole);
            Assert.Equal(response.Split(' ')[1], answer.Status.ToString());
            Assert.Equal(0, answer.BodyLength);
            Assert.Equal(length, answer["content-length"]);
        }

        Assert.Equal(1, instance.Connections);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde")]
    [InlineData("HTTP/1.0 200 OK\r\n\r\nabcde")]
    public async Task A_body_arrives_whole_whatever_its_framing(string response)
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync(response);
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var answer = await client.GetAsync();

        Assert.True(answer.IsWhole);
        Assert.Equal("abcde", answer.Body);
        Assert.Null(answer["transfer-encoding"]);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc")]
    public async Task A_broken_off_answer_is_a_reset_stream_and_the_connection_goes_on(string response)
    {
        await using var broken = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync(response);
        });
        await using var sound = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(
            TestProxy.Service("broken", broken.EndPoint) with { Path = "/broken" }, TestProxy.Service("sound", sound.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var answer = await client.GetAsync(Http2Client.Request(path: "/broken"));

        Assert.False(answer.IsWhole);
        Assert.Equal(Http2Error.InternalError, answer.ResetCode);
        Assert.Equal("ok", (await client.GetAsync()).Body);
        await proxy.Log.WaitForAsync("response cut short");
    }

    [Fact]
    public async Task A_body_of_known_length_goes_to_the_instance_with_its_length()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("POST").Add("content-length", "11"), end: false);
        await client.SendDataAsync(stream, "hello");
        var upstream = await instance.AcceptAsync();
        var head = await upstream.ReadHeadAsync();
        Assert.Equal("hello", await upstream.ReadAsync(5));
        await client.SendDataAsync(stream, " world", end: true);
        Assert.Equal(" world", await upstream.ReadAsync(6));
        await upstream.SendAsync(Ok);

        Assert.Equal("ok", (await client.AnswerAsync(stream)).Body);
        Assert.Contains("\r\nContent-Length: 11\r\n", head);
        Assert.DoesNotContain("Transfer-Encoding", head);
    }

    [Fact]
    public async Task A_body_of_unknown_length_goes_to_the_instance_chunked()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("POST"), end: false);
        await client.SendDataAsync(stream, "hello");
        var upstream = await instance.AcceptAsync();
        var head = await upstream.ReadHeadAsync();
        Assert.Equal("5\r\nhello\r\n", await upstream.ReadAsync(10));
        await client.SendDataAsync(stream, "", end: true);
        Assert.Equal("0\r\n\r\n", await upstream.ReadAsync(5));
        await upstream.SendAsync(Ok);

        Assert.Equal("ok", (await client.AnswerAsync(stream)).Body);
        Assert.Contains("\r\nTransfer-Encoding: chunked\r\n", head);
        Assert.DoesNotContain("Content-Length", head);
    }

    [Theory]
    [InlineData("GET", false)]
    [InlineData("DELETE", false)]
    [InlineData("POST", true)]
    [InlineData("PUT", true)]
    [InlineData("PATCH", true)]
    public async Task A_request_that_ends_with_its_head_says_so_where_a_body_is_usual(string method, bool says)
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        Assert.Equal("ok", (await client.GetAsync(Http2Client.Request(method))).Body);

        Assert.Equal(says, seen.Contains("\r\nContent-Length: 0\r\n", StringComparison.Ordinal));
        Assert.DoesNotContain("Transfer-Encoding", seen);
    }

    [Fact]
    public async Task A_body_is_asked_for_when_the_instance_asks_for_it()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(
            Http2Client.Request("POST").Add("content-length", "4").Add("expect", "100-continue"), end: false);
        var upstream = await instance.AcceptAsync();
        Assert.Contains("\r\nExpect: 100-continue\r\n", await upstream.ReadHeadAsync());
        await client.PingAsync();
        Assert.Empty(client[stream].Interim);
        await upstream.SendAsync("HTTP/1.1 100 Continue\r\n\r\n");
        await client.UntilAsync(() => client[stream].Interim.Contains(100));
        await client.SendDataAsync(stream, "body", end: true);
        Assert.Equal("body", await upstream.ReadAsync(4));
        await upstream.SendAsync(Ok);

        Assert.Equal("ok", (await client.AnswerAsync(stream)).Body);
    }

    [Fact]
    public async Task Interim_responses_arrive_before_the_final_one()
    {
        await using var instance = ScriptedInstance.Answering(
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var answer = await client.GetAsync();

        Assert.Equal("ok", answer.Body);
        // What came with the interim response is none of the final one's.
        Assert.Null(answer["link"]);
        Assert.Equal([103], answer.Interim);
    }

    [Fact]
    public async Task A_request_goes_to_the_next_instance_when_one_fails()
    {
        await using var dead = new ScriptedInstance(async connection => await connection.ReadHeadAsync());
        await using var alive = new ScriptedInstance(async connection =>
        {
            Assert.EndsWith("\r\n\r\nbody", await connection.ReadResponseAsync());
            await connection.SendAsync(Ok);
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(dead.EndPoint, alive.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        for (var i = 0; i < 2; i++)
        {
            var stream = await client.OpenAsync(Http2Client.Request("PUT").Add("content-length", "4"), end: false);
            await client.SendDataAsync(stream, "body", end: true);
            Assert.Equal("ok", (await client.AnswerAsync(stream)).Body);
        }
    }

    [Fact]
    public async Task What_matches_nothing_is_told_so_in_its_stream()
    {
        await using var proxy = await TestProxy.StartAsync();
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var answer = await client.GetAsync();

        Assert.Equal((502, "No matching services found\n"), (answer.Status, answer.Body));
    }
}
