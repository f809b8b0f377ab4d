using System.Net;
using System.Net.WebSockets;
using System.Text;

namespace Millau.Tests.Wire.Http2;

/// <summary>WebSockets in streams of HTTP/2 (RFC 8441), with instances that know only HTTP/1.1's.</summary>
public class Http2WebSocketTests
{
    [Fact]
    public async Task The_server_says_that_it_takes_websockets()
    {
        await using var proxy = await TestProxy.StartAsync();
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        Assert.Equal(1u, client.Settings[Http2Setting.EnableConnectProtocol]);
    }

    [Fact]
    public async Task A_websocket_is_asked_for_with_a_key_of_millaus_own_and_is_a_tunnel_both_ways()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(WebSocket().Add("sec-websocket-protocol", "chat")
            .Add("sec-websocket-key", "bWluZQ==").Add("origin", "https://a.test"), end: false);
        var upstream = await instance.AcceptAsync();
        var request = await upstream.ReadHeadAsync();
        await upstream.SendAsync(Switch(request) + "early");
        await client.UntilAsync(() => client[stream].Body == "early");

        Assert.StartsWith("GET /chat HTTP/1.1\r\nHost: a.test\r\n", request);
        Assert.Contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ", request);
        Assert.Contains("\r\nSec-WebSocket-Version: 13\r\n", request);
        Assert.Contains("\r\nSec-WebSocket-Protocol: chat\r\n", request);
        Assert.Contains("\r\nOrigin: https://a.test\r\n", request);
        Assert.DoesNotContain("bWluZQ==", request);
        Assert.Equal(16, Convert.FromBase64String(Key(request)).Length);
        Assert.DoesNotContain("Transfer-Encoding", request);
        Assert.DoesNotContain("Content-Length", request);
        var answer = client[stream];
        Assert.Equal(200, answer.Status);
        Assert.Equal("chat", answer["sec-websocket-protocol"]);
        Assert.Null(answer["sec-websocket-accept"]);
        Assert.Null(answer["upgrade"]);
        for (var i = 0; i < 10; i++)
        {
            await client.SendDataAsync(stream, $"to{i}\0");
            Assert.Equal($"to{i}\0", await upstream.ReadUntilAsync("\0"));
            await upstream.SendAsync($"from{i}\0");
            await client.UntilAsync(() => answer.Body.EndsWith($"from{i}\0", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task When_the_client_ends_its_side_the_instance_sees_the_end_and_may_still_answer()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var (stream, upstream) = await OpenAsync(client, instance);

        await client.SendDataAsync(stream, "last", end: true);
        Assert.Equal("last", await upstream.ReadToEndAsync());
        await upstream.SendAsync("answer");
        await upstream.DisposeAsync();

        var answer = await client.AnswerAsync(stream);
        Assert.True(answer.IsWhole);
        Assert.Equal("answer", answer.Body);
    }

    [Fact]
    public async Task When_the_instance_ends_the_stream_ends()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var (stream, upstream) = await OpenAsync(client, instance);

        await upstream.SendAsync("last");
        await upstream.DisposeAsync();

        await client.UntilAsync(() => client[stream].IsWhole);
        Assert.Equal("last", client[stream].Body);
    }

    [Fact]
    public async Task When_the_instance_breaks_off_the_stream_is_reset()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var (stream, upstream) = await OpenAsync(client, instance);

        upstream.Reset();

        Assert.False((await client.AnswerAsync(stream)).IsWhole);
    }

    [Fact]
    public async Task When_the_client_resets_the_stream_the_instances_connection_ends()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var (stream, upstream) = await OpenAsync(client, instance);

        await client.ResetAsync(stream);

        Assert.Equal("", await upstream.ReadToEndAsync());
    }

    [Theory]
    [InlineData("403 Forbidden", 403)]
    [InlineData("302 Found", 302)]
    [InlineData("426 Upgrade Required", 426)]
    [InlineData("500 Broken", 500)]
    [InlineData("200 OK", 502)]
    [InlineData("204 No Content", 502)]
    public async Task A_refusal_is_passed_on_and_a_success_that_is_no_switch_is_not(string status, int expected)
    {
        var body = status.StartsWith("204", StringComparison.Ordinal) ? "" : "no";
        await using var instance = ScriptedInstance.Answering($"HTTP/1.1 {status}\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(WebSocket(), end: false);
        await client.UntilAsync(() => client[stream].IsWhole);

        Assert.Equal(expected, client[stream].Status);
        if (expected != 502) Assert.Equal("no", client[stream].Body);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")]
    public async Task A_switch_that_does_not_answer_the_key_is_none(string accept)
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync($"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{accept}\r\nearly");
            await connection.ReadToEndAsync();
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(WebSocket(), end: false);
        await client.UntilAsync(() => client[stream].IsWhole);

        Assert.Equal(502, client[stream].Status);
        Assert.DoesNotContain("early", client[stream].Body);
    }

    [Theory]
    [InlineData("connect-udp")]
    [InlineData("webtransport")]
    public async Task Other_protocols_in_streams_are_refused(string protocol)
    {
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("CONNECT").Add(":protocol", protocol), end: false);
        await client.UntilAsync(() => client[stream].IsWhole);

        Assert.Equal(501, client[stream].Status);
        Assert.Equal(0, instance.Connections);
    }

    [Fact]
    public async Task A_websocket_goes_to_the_next_instance_when_one_is_dead()
    {
        await using var dead = new ScriptedInstance(async connection => await connection.ReadHeadAsync());
        await using var alive = new ScriptedInstance(async connection =>
        {
            await connection.SendAsync(Switch(await connection.ReadHeadAsync()) + "here");
            await connection.ReadToEndAsync();
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(dead.EndPoint, alive.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        for (var i = 0; i < 2; i++)
        {
            var stream = await client.OpenAsync(WebSocket(), end: false);
            await client.UntilAsync(() => client[stream].Body == "here");
        }
    }

    [Fact]
    public async Task A_client_of_the_platform_talks_over_it_beside_other_requests()
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            var request = await connection.ReadHeadAsync();
            if (!request.Contains("Upgrade: websocket", StringComparison.Ordinal))
            {
                await connection.SendAsync("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
                return;
            }
            await connection.SendAsync(Switch(request).Replace("Sec-WebSocket-Protocol: chat\r\n", ""));
            // A masked text frame of five bytes; the answer is the same text, unmasked.
            var frame = await connection.ReadAsync(11);
            await connection.SendAsync("\u0081\u0005" + string.Concat(Enumerable.Range(0, 5).Select(i => (char)(frame[6 + i] ^ frame[2 + i % 4]))));
            await connection.ReadToEndAsync();
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        using var handler = new SocketsHttpHandler();
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        using var http = new HttpClient(handler)
        {
            DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using var socket = new ClientWebSocket();
        socket.Options.HttpVersion = HttpVersion.Version20;
        socket.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        using var deadline = new CancellationTokenSource(ScriptedConnection.Deadline);

        await socket.ConnectAsync(new Uri($"wss://{proxy.TlsEndPoint}/chat"), http, deadline.Token);
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, deadline.Token);
        var buffer = new byte[16];
        var received = await socket.ReceiveAsync(buffer, deadline.Token);

        Assert.Equal("hello", Encoding.ASCII.GetString(buffer, 0, received.Count));
        Assert.Equal("ok", await http.GetStringAsync($"https://{proxy.TlsEndPoint}/", deadline.Token));
    }

    private static HeaderBlock WebSocket() =>
        Http2Client.Request("CONNECT", "/chat").Add(":protocol", "websocket").Add("sec-websocket-version", "13");

    private static async Task<(int Stream, ScriptedConnection Upstream)> OpenAsync(Http2Client client, ScriptedInstance instance)
    {
        var stream = await client.OpenAsync(WebSocket(), end: false);
        var upstream = await instance.AcceptAsync();
        await upstream.SendAsync(Switch(await upstream.ReadHeadAsync()));
        await client.UntilAsync(() => client[stream].Status == 200);
        return (stream, upstream);
    }

    private static string Key(string request) => request.Split("Sec-WebSocket-Key: ")[1].Split("\r\n")[0];

    // What a server that speaks WebSocket says (RFC 6455 section 4.2.2).
    private static string Switch(string request) =>
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\n" +
        $"Sec-WebSocket-Accept: {Accept(Key(request))}\r\n\r\n";

    private static string Accept(string key) => Convert.ToBase64String(
        System.Security.Cryptography.SHA1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
}
