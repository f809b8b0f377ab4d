using Millau.Tests.Wire;
using Millau.Tests.Wire.Http2;

namespace Millau.Tests.Hostile;

/// <summary>Rows 28 to 33 of the hostile table: requests of HTTP/2 that would be others in HTTP/1.1.</summary>
public class Http2RequestTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    public static TheoryData<int, string, string> Fields => new()
    {
        { 28, "x\r\nhost: evil.test\r\nx", "1" },
        { 28, "x\ny", "1" },
        { 28, "x\0", "1" },
        { 28, "x y", "1" },
        { 28, "x:y", "1" },
        { 28, "x(y)", "1" },
        { 28, "x\u007f", "1" },
        { 28, "x\u00e9", "1" },
        { 28, "", "1" },
        { 28, "X-Upper", "1" },
        { 28, "transfer-encoding\r\nx", "chunked" },
        { 29, "x-a", "1\r\nhost: evil.test" },
        { 29, "x-a", "1\n" },
        { 29, "x-a", "1\r" },
        { 29, "x-a", "1\0" },
        { 29, "x-a", "1\u0001" },
        { 29, "x-a", "1\u007f" },
        { 29, "cookie", "a=b\r\nhost: evil.test" },
        { 29, "user-agent", "1\n" },
        { 31, "transfer-encoding", "chunked" },
        { 31, "transfer-encoding", "identity" },
        { 31, "upgrade", "websocket" },
        { 31, "keep-alive", "timeout=5" },
        { 31, "proxy-connection", "close" },
        { 31, "connection", "close" },
        { 31, "connection", "x-a" },
        { 31, "te", "gzip" },
        { 31, "te", "trailers, gzip" },
        { 32, "content-length", "5" },
        { 32, "content-length", "-1" },
        { 32, "content-length", "0x5" },
        { 32, "content-length", "0, 0" },
        { 33, ":authority", "b.test" },
        { 33, ":path", "/b" },
        { 33, ":method", "POST" },
        { 33, ":scheme", "https" },
        { 33, ":protocol", "websocket" },
        { 33, ":unknown", "1" },
        { 33, ":status", "200" },
    };

    [Theory]
    [MemberData(nameof(Fields))]
    public async Task A_request_with_such_a_field_is_refused_and_reaches_no_instance(int row, string name, string value)
    {
        Assert.InRange(row, 28, 33);
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        await AssertRefusedAsync(proxy, Http2Client.Request().Add(name, value));
        await AssertRefusedAsync(proxy, Http2Client.Request().AddToTable(name, value));

        Assert.Equal(0, instance.Connections);
    }

    [Theory]
    [InlineData("x-a", "1\r\nhost: evil.test")]
    [InlineData("x-a", "1\0")]
    [InlineData("x y", "1")]
    [InlineData("x\r\nhost", "evil.test")]
    [InlineData("transfer-encoding", "chunked")]
    [InlineData("upgrade", "h2c")]
    public async Task What_a_trailer_put_into_the_table_is_refused_in_a_head_too(string name, string value)
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            var all = await connection.ReadToEndAsync();
            Assert.StartsWith("POST /first HTTP/1.1\r\n", all);
            Assert.DoesNotContain("evil", all);
            // Dropped, or the request broken off; a second one never comes behind it.
            Assert.Equal(all.IndexOf(" HTTP/1.1\r\n", StringComparison.Ordinal), all.LastIndexOf(" HTTP/1.1\r\n", StringComparison.Ordinal));
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var first = await client.OpenAsync(Http2Client.Request("POST", "/first"), end: false);
        await client.SendHeadersAsync(first, new HeaderBlock().AddToTable(name, value), end: true);
        var second = await client.OpenAsync(Http2Client.Request(path: "/second").AddIndexed(HeaderBlock.Newest), end: true);
        await client.UntilAsync(() => client[second].IsOver || client.IsEnded);

        if (client[second].Status != 0) Assert.Equal(400, client[second].Status);
        Assert.True(instance.Connections <= 1);
    }

    [Theory]
    [InlineData("x-a", "1\r\nhost: evil.test")]
    [InlineData("x-a", "1\n2")]
    [InlineData("x-a", "1\0")]
    [InlineData("x-a", "1\u0001")]
    [InlineData("x y", "1")]
    [InlineData("x:", "1")]
    [InlineData("x\r\nhost", "evil.test")]
    [InlineData("", "1")]
    [InlineData("X-Upper", "1")]
    [InlineData(":path", "/evil")]
    [InlineData(":status", "200")]
    public async Task A_request_with_a_broken_trailer_is_never_completed(string name, string value)
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("POST"), end: false);
        await client.SendDataAsync(stream, "hello");
        var upstream = await instance.AcceptAsync();
        await upstream.ReadUntilAsync("5\r\nhello\r\n");
        await client.SendHeadersAsync(stream, new HeaderBlock().Add(name, value), end: true);

        Assert.Equal("", await upstream.ReadToEndAsync());
        await client.UntilAsync(() => client[stream].IsOver || client.IsEnded);
        if (client[stream].Status != 0) Assert.Equal(400, client[stream].Status);
    }

    [Theory]
    [InlineData("/a b")]
    [InlineData("/a\tb")]
    [InlineData("/a\u0001b")]
    [InlineData("/a#b")]
    [InlineData("/a\\b")]
    [InlineData("/a\r\nb")]
    [InlineData("/a HTTP/1.1\r\nHost: evil.test\r\n\r\n")]
    [InlineData("/\u00e9")]
    [InlineData("/%00")]
    [InlineData("/a%2f%2e%2e%2fb")]
    [InlineData("a")]
    [InlineData("")]
    [InlineData("*")]
    [InlineData("https://a.test/")]
    public async Task Such_a_path_is_refused_and_reaches_no_instance(string path)
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        await AssertRefusedAsync(proxy, Http2Client.Request(path: path));

        Assert.Equal(0, instance.Connections);
    }

    [Theory]
    [InlineData("GET /evil HTTP/1.1\r\nHost: x\r\n\r\nGET", "https")]
    [InlineData("GE T", "https")]
    [InlineData("", "https")]
    [InlineData("TRACE", "https")]
    [InlineData("GET", "http")]
    [InlineData("GET", "ftp")]
    public async Task Such_a_method_or_scheme_is_refused_and_reaches_no_instance(string method, string scheme)
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        await AssertRefusedAsync(proxy, new HeaderBlock().Add(":method", method).Add(":scheme", scheme).Add(":path", "/")
            .Add(":authority", "a.test"));

        Assert.Equal(0, instance.Connections);
    }

    [Theory]
    [InlineData("x-a", "1", ":path", "/")]
    [InlineData("x-a", "1", ":authority", "a.test")]
    [InlineData("content-length", "0", "content-length", "0")]
    [InlineData("content-length", "0", "content-length", "5")]
    [InlineData("host", "a.test", "host", "a.test")]
    [InlineData("host", "a.test", "host", "b.test")]
    public async Task Fields_that_may_come_once_or_only_before_others_are_refused_elsewhere(string name, string value, string second, string other)
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        var block = new HeaderBlock().Add(":method", "GET").Add(":scheme", "https");
        if (second != ":path") block.Add(":path", "/");
        if (second is not (":authority" or "host")) block.Add(":authority", "a.test");

        await AssertRefusedAsync(proxy, block.Add(name, value).Add(second, other));

        Assert.Equal(0, instance.Connections);
    }

    [Fact]
    public async Task A_tunnel_to_anywhere_is_refused()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        await AssertRefusedAsync(proxy, new HeaderBlock().Add(":method", "CONNECT").Add(":authority", "b.test:25"));

        Assert.Equal(0, instance.Connections);
    }

    [Theory]
    [InlineData("5", "hell", true)]
    [InlineData("5", "", true)]
    [InlineData("5", "hello!", true)]
    [InlineData("5", "hello!", false)]
    [InlineData("0", "!", true)]
    public async Task A_body_that_is_not_as_long_as_it_says_is_a_reset_and_never_a_whole_request(string length, string data, bool end)
    {
        var seen = "";
        await using var instance = new ScriptedInstance(async connection => Volatile.Write(ref seen, await connection.ReadToEndAsync()));
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("POST").Add("content-length", length), end: false);
        await client.SendDataAsync(stream, data, end);
        await client.UntilAsync(() => client[stream].IsOver);

        Assert.Equal(Http2Error.ProtocolError, client[stream].ResetCode);
        // If its head was sent already, that connection is closed with less of a body than it says.
        await Eventually.TrueAsync(() => instance.Connections == 0 || Volatile.Read(ref seen).Length > 0);
        if (instance.Connections > 0 && length != "0") Assert.DoesNotContain("hello", seen);
        Assert.DoesNotContain("!", seen);
        Assert.DoesNotContain(proxy.Log.Entries, e => e.Level >= Microsoft.Extensions.Logging.LogLevel.Error);
    }

    [Fact]
    public async Task A_body_that_ends_early_breaks_its_request_to_the_instance_off()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var stream = await client.OpenAsync(Http2Client.Request("POST").Add("content-length", "10"), end: false);
        await client.SendDataAsync(stream, "hello");
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        Assert.Equal("hello", await upstream.ReadAsync(5));
        await client.SendDataAsync(stream, "hi", end: true);

        // What came of it may have gone on; an end never does.
        Assert.True((await upstream.ReadToEndAsync()).Length < 5);
        Assert.Equal(Http2Error.ProtocolError, (await client.AnswerAsync(stream)).ResetCode);
        // The instance is not to blame.
        Assert.Equal(0, proxy.Log.Count("instance left out"));
    }

    [Fact]
    public async Task The_authority_wins_over_host()
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        Assert.Equal("ok", (await client.GetAsync(Http2Client.Request().Add("host", "evil.test"))).Body);

        Assert.StartsWith("GET / HTTP/1.1\r\nHost: a.test\r\n", seen);
        Assert.DoesNotContain("evil", seen);
    }

    [Fact]
    public async Task Host_stands_in_for_the_authority()
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        Assert.Equal("ok", (await client.GetAsync(WithoutAuthority().Add("host", "b.test"))).Body);

        Assert.StartsWith("GET / HTTP/1.1\r\nHost: b.test\r\n", seen);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData("a@b")]
    [InlineData("a, b")]
    [InlineData("a:99999")]
    [InlineData("a b")]
    [InlineData("a\r\nx: y")]
    public async Task No_host_or_a_bad_one_is_refused(string? host)
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        await AssertRefusedAsync(proxy, host is null ? WithoutAuthority() : Http2Client.Request(authority: host));
        if (host is not null) await AssertRefusedAsync(proxy, WithoutAuthority().Add("host", host));

        Assert.Equal(0, instance.Connections);
    }

    private static HeaderBlock WithoutAuthority() => new HeaderBlock().Add(":method", "GET").Add(":scheme", "https").Add(":path", "/");

    // An answer of 4xx or 501, a reset stream, or an ended connection.
    private static async Task AssertRefusedAsync(TestProxy proxy, HeaderBlock block)
    {
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var stream = await client.OpenAsync(block, end: true);
        await client.UntilAsync(() => client[stream].IsOver || client.IsEnded);
        if (client[stream].Status != 0) Assert.True(client[stream].Status is 400 or 501, $"{client[stream].Status}");
        else Assert.True(client[stream].ResetCode is not null || client.GoAway is not null);
    }
}
