using System.Net.Sockets;
using Millau.Tests.Telemetry.Metrics;

namespace Millau.Tests.Wire.Http2;

/// <summary>Streams that last: both ways at once, back-pressure, and clients that lose interest.</summary>
public class Http2StreamingTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task Each_piece_of_an_answer_arrives_before_the_next_is_sent()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request(), end: true);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        await client.UntilAsync(() => client[stream].Status == 200);
        for (var i = 0; i < 5; i++)
        {
            await upstream.SendAsync($"8\r\ndata:{i}\n\n\r\n");
            await client.UntilAsync(() => client[stream].Body.EndsWith($"data:{i}\n\n", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task An_answer_may_stream_while_the_request_still_does()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("POST"), end: false);
        await client.SendDataAsync(stream, "q0;");
        var upstream = await instance.AcceptAsync();
        await upstream.ReadUntilAsync("q0;\r\n");
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (var i = 1; i < 5; i++)
        {
            await upstream.SendAsync($"3\r\na{i};\r\n");
            await client.UntilAsync(() => client[stream].Body.EndsWith($"a{i};", StringComparison.Ordinal));
            await client.SendDataAsync(stream, $"q{i};");
            await upstream.ReadUntilAsync($"q{i};\r\n");
        }
        await client.SendDataAsync(stream, "", end: true);
        Assert.Equal("0\r\n\r\n", await upstream.ReadUntilAsync("0\r\n\r\n"));
        await upstream.SendAsync("0\r\n\r\n");

        Assert.True((await client.AnswerAsync(stream)).IsWhole);
        var next = await client.OpenAsync(Http2Client.Request(path: "/next"), end: true);
        Assert.StartsWith("GET /next HTTP/1.1\r\n", await upstream.ReadHeadAsync());
        await upstream.SendAsync(Ok);
        Assert.Equal("ok", (await client.AnswerAsync(next)).Body);
    }

    [Fact]
    public async Task An_answer_before_the_end_of_the_body_arrives_and_ends_the_stream()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("POST").Add("content-length", "100000"), end: false);
        await client.SendDataAsync(stream, "begin");
        var upstream = await instance.AcceptAsync();
        await upstream.ReadUntilAsync("begin");
        await upstream.SendAsync("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig");
        await client.UntilAsync(() => client[stream].ResetCode is not null);

        Assert.Equal((413, "big"), (client[stream].Status, client[stream].Body));
        Assert.True(client[stream].IsWhole);
        // RFC 9113 section 8.1: no error, but send no more of it.
        Assert.Equal(Http2Error.NoError, client[stream].ResetCode);
        Assert.Equal("", await upstream.ReadToEndAsync());
    }

    [Fact]
    public async Task A_client_that_grants_no_window_stops_the_instance_and_others_are_not_held_up()
    {
        await using var instance = new ScriptedInstance();
        await using var quick = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(
            TestProxy.Service("slow", instance.EndPoint) with { Path = "/slow" }, TestProxy.Service("quick", quick.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        client.GivesBackWindows = false;
        const long total = 1L << 40;

        var stream = await client.OpenAsync(Http2Client.Request(path: "/slow"), end: true);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n");
        var sent = await FillAsync(upstream);
        await client.UntilAsync(() => client[stream].BodyLength == 65535);

        // The kernel's buffers take a few megabytes, the proxy a few hundred kilobytes.
        Assert.InRange(sent, 65535, 64 << 20);
        await client.GrantAsync(0, 1000);
        await client.UntilAsync(() => client[stream].BodyLength == 65535 || client[stream].BodyLength > 65535);
        Assert.Equal(65535, client[stream].BodyLength);
        // The window of the connection serves another stream while this one waits for its own.
        Assert.Equal("ok", (await client.GetAsync()).Body);
        await client.GrantAsync(stream, 500);
        await client.UntilAsync(() => client[stream].BodyLength == 65535 + 500);
    }

    [Fact]
    public async Task An_instance_that_does_not_read_stops_the_client_by_the_window()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("POST"), end: false);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        // Without taking back what it may send: the client sends as long as it is allowed to.
        var sent = await UploadAsync(client, stream);

        Assert.InRange(sent, client.Settings[Http2Setting.InitialWindowSize], 64 << 20);
        // What the instance takes is granted to the client again.
        var before = client.Granted(stream);
        await upstream.SkipAsync(sent / 2);
        await client.UntilAsync(() => client.Granted(stream) > before);
    }

    [Fact]
    public async Task A_megabyte_passes_each_way()
    {
        const int total = 1 << 20;
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("PUT").Add("content-length", $"{total}"), end: false);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        var reading = upstream.SkipAsync(total);
        for (var sent = 0; sent < total;)
        {
            await client.UntilAsync(() => client.Granted(stream) > sent && client.Granted(0) > sent);
            var piece = Math.Min(16384, (int)Math.Min(client.Granted(stream) - sent, total - sent));
            await client.SendDataAsync(stream, new byte[piece], end: sent + piece == total);
            sent += piece;
        }
        Assert.Equal(total, await reading);
        await upstream.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n");
        for (var sent = 0; sent < total; sent += 16384) await upstream.SendAsync(new byte[16384]);

        Assert.Equal(total, (await client.AnswerAsync(stream)).BodyLength);
    }

    [Theory]
    [InlineData("before")]
    [InlineData("body")]
    [InlineData("answer")]
    public async Task A_reset_stream_ends_the_instances_connection_and_nobody_is_blamed(string when)
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request(when == "body" ? "POST" : "GET"), end: when != "body");
        if (when == "body") await client.SendDataAsync(stream, "begin");
        var upstream = await instance.AcceptAsync();
        await upstream.ReadUntilAsync(when == "body" ? "begin\r\n" : "\r\n\r\n");
        if (when == "answer")
        {
            await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin");
            await client.UntilAsync(() => client[stream].Body == "begin");
        }
        await client.ResetAsync(stream);

        Assert.Equal("", await upstream.ReadToEndAsync());
        // The connection, and the instance, serve the next one.
        var next = await client.OpenAsync(Http2Client.Request(), end: true);
        var second = await instance.AcceptAsync();
        await second.ReadHeadAsync();
        await second.SendAsync(Ok);
        Assert.Equal("ok", (await client.AnswerAsync(next)).Body);
        Assert.Equal(0, proxy.Log.Count("instance left out|response cut|request failed"));
    }

    [Fact]
    public async Task A_client_that_hangs_up_ends_all_its_requests()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var upstreams = new List<ScriptedConnection>();
        for (var i = 0; i < 10; i++)
        {
            await client.OpenAsync(Http2Client.Request(), end: true);
            upstreams.Add(await instance.AcceptAsync());
            await upstreams[^1].ReadHeadAsync();
        }

        client.Connection.Reset();

        foreach (var upstream in upstreams) Assert.Equal("", await upstream.ReadToEndAsync());
        Assert.Equal(0, proxy.Log.Count("instance left out|response cut|request failed"));
    }

    [Fact]
    public async Task Streams_that_end_in_each_way_leave_nothing_to_those_that_come_after_them()
    {
        // Streams are used again for later requests, and the requests of some are cancelled while they end.
        await using var instance = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 } head)
            {
                var path = head.Split(' ')[1];
                await connection.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {path.Length}\r\n\r\n{path}");
            }
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        for (var round = 0; round < 100; round++)
        {
            var kept = new List<(int Stream, string Path)>();
            for (var i = 0; i < 8; i++)
            {
                var path = $"/{round}/{i}";
                var stream = await client.OpenAsync(Http2Client.Request(path: path), end: true);
                if (i % 2 == 0) await client.ResetAsync(stream);
                else kept.Add((stream, path));
            }
            foreach (var (stream, path) in kept)
            {
                var answer = await client.AnswerAsync(stream);
                Assert.Equal((200, path), (answer.Status, answer.Body));
            }
        }

        Assert.Equal(0, proxy.Log.Count("instance left out|response cut|request failed"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_upload_that_its_client_breaks_off_leaves_nothing_of_its_connection_to_the_instance(bool resets)
    {
        await using var instance = new ScriptedInstance(async connection => await connection.ReadToEndAsync());
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        // The client's failure is told to the body and to the request, in either order.
        for (var i = 1; i <= 30; i++)
        {
            var stream = await client.OpenAsync(Http2Client.Request("POST").Add("content-length", "10"), end: false);
            await client.SendDataAsync(stream, "hello");
            await Eventually.TrueAsync(() => instance.Connections == i);
            if (resets) await client.ResetAsync(stream);
            else await client.SendDataAsync(stream, "", end: true);
        }

        await Scrape.WithAsync(proxy.Proxy.Metrics, "millau_upstream_connections{state=\"active\"} 0");
        Assert.Equal(0, proxy.Log.Count("request failed"));
    }

    // Sends until nothing more is taken for a while.
    private static async Task<long> FillAsync(ScriptedConnection connection)
    {
        var sent = 0L;
        var piece = new byte[64 * 1024];
        while (connection.Socket.Poll(TimeSpan.FromMilliseconds(300), SelectMode.SelectWrite))
            sent += await connection.Socket.SendAsync(piece);
        return sent;
    }

    // Sends what the windows allow, until they allow nothing more for a while.
    private static async Task<long> UploadAsync(Http2Client client, int stream)
    {
        var sent = 0L;
        while (true)
        {
            var allowed = Math.Min(client.Granted(stream), client.Granted(0)) - sent;
            if (allowed > 0)
            {
                var piece = (int)Math.Min(allowed, 16384);
                await client.SendDataAsync(stream, new byte[piece]);
                sent += piece;
                continue;
            }
            await client.PingAsync();
            if (Math.Min(client.Granted(stream), client.Granted(0)) > sent) continue;
            await Task.Delay(300);
            await client.PingAsync();
            if (Math.Min(client.Granted(stream), client.Granted(0)) == sent) return sent;
        }
    }
}
