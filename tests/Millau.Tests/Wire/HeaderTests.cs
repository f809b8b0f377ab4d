namespace Millau.Tests.Wire;

/// <summary>Which fields pass, in which form, both ways.</summary>
public class HeaderTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private static async Task<string> SeenAsync(string fields)
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync($"GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", await client.ReadResponseAsync());
        return seen;
    }

    private static async Task<string> AnsweredAsync(string fields)
    {
        await using var instance = ScriptedInstance.Answering($"HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        return await client.ReadResponseAsync();
    }

    [Fact]
    public async Task Fields_that_a_connection_names_end_with_it()
    {
        var seen = await SeenAsync(
            "Connection: X-Hop, X-Forwarded-For, Host, Cookie\r\nX-Hop: 1\r\nCookie: a=b\r\nKeep-Alive: 5\r\nX-End: 2\r\n");

        Assert.DoesNotContain("X-Hop", seen);
        Assert.DoesNotContain("Cookie", seen);
        Assert.DoesNotContain("Keep-Alive", seen, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Connection", seen);
        Assert.Contains("\r\nHost: a.test\r\n", seen);
        Assert.Contains("\r\nX-Forwarded-For: 127.0.0.1\r\n", seen);
        Assert.Contains("\r\nX-End: 2\r\n", seen);
    }

    [Fact]
    public async Task The_length_of_a_body_cannot_be_named_away()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Content-Length\r\nContent-Length: 4\r\n\r\nbody");
        var upstream = await instance.AcceptAsync();

        Assert.Contains("\r\nContent-Length: 4\r\n", await upstream.ReadHeadAsync());
        Assert.Equal("body", await upstream.ReadAsync(4));
    }

    [Fact]
    public async Task Only_Millau_says_who_the_client_is()
    {
        var seen = await SeenAsync(
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nx-real-ip: 6.6.6.6\r\n" +
            "X_Forwarded_For: 6.6.6.6\r\nX-Real_IP: 6.6.6.6\r\nX_FORWARDED_HOST: evil\r\ncf-connecting-ip: 7.7.7.7\r\n");

        Assert.DoesNotContain("6.6.6.6", seen);
        Assert.DoesNotContain("evil", seen);
        Assert.Contains("\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\nX-Real-IP: 127.0.0.1\r\n", seen);
        Assert.Contains("\r\ncf-connecting-ip: 7.7.7.7\r\n", seen);
    }

    [Theory]
    [InlineData("TE: trailers\r\n", true)]
    [InlineData("TE: gzip, trailers\r\n", true)]
    [InlineData("TE: gzip\r\n", false)]
    [InlineData("", false)]
    public async Task TE_survives_only_as_trailers(string fields, bool survives)
    {
        var seen = await SeenAsync(fields);

        Assert.Equal(survives, seen.Contains("\r\nTE: trailers\r\n", StringComparison.Ordinal));
        Assert.DoesNotContain("gzip", seen);
    }

    [Theory]
    [InlineData("Proxy-Connection: keep-alive\r\n")]
    [InlineData("Proxy-Authorization: Basic eDp5\r\n")]
    [InlineData("Trailer: X\r\n")]
    [InlineData("Upgrade: websocket\r\n")]
    public async Task Hop_by_hop_fields_of_the_client_end_here(string field)
    {
        Assert.DoesNotContain(field.Split(':')[0], await SeenAsync(field));
    }

    [Fact]
    public async Task Bytes_beyond_ASCII_pass_unchanged_both_ways()
    {
        // UTF-8 and Latin-1 alike, as the bytes they are.
        const string odd = "gr\u00c3\u00bc\u00c3\u009f \u00fc\u00ff\u0080";
        var seen = await SeenAsync($"X-Odd: {odd}\r\nReferer: {odd}\r\n");
        var answered = await AnsweredAsync($"X-Odd: {odd}\r\nContent-Disposition: {odd}\r\n");

        Assert.Contains($"\r\nX-Odd: {odd}\r\n", seen);
        Assert.Contains($"\r\nReferer: {odd}\r\n", seen);
        Assert.Contains($"\r\nX-Odd: {odd}\r\n", answered);
        Assert.Contains($"\r\nContent-Disposition: {odd}\r\n", answered);
    }

    [Fact]
    public async Task Repeated_and_empty_fields_pass()
    {
        var seen = await SeenAsync("X-A: 1\r\nX-A: 2\r\nX-Empty:\r\nX-Tab: a\tb\r\nAccept: text/html\r\nAccept: */*\r\n");
        var answered = await AnsweredAsync("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Empty:\r\nX-Tab: a\tb\r\nx-lower: y\r\n");

        Assert.Contains("\r\nX-A: 1\r\nX-A: 2\r\n", seen);
        Assert.Contains("\r\nX-Empty: \r\n", seen);
        Assert.Contains("\r\nX-Tab: a\tb\r\n", seen);
        Assert.Contains("\r\nAccept: text/html\r\nAccept: */*\r\n", seen);
        Assert.Contains("\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n", answered);
        Assert.Contains("\r\nX-Empty: \r\n", answered);
        Assert.Contains("\r\nX-Tab: a\tb\r\n", answered);
        Assert.Contains("\r\nx-lower: y\r\n", answered);
    }

    [Fact]
    public async Task Fields_go_on_in_their_order_and_in_one_form_however_they_are_written()
    {
        const string written =
            "A: 1\r\nKeep-Alive: 5\r\nB:2\r\nC:  3 \r\nD:\r\nE: \r\nF:\t6\t\r\nProxy-Connection: x\r\nG: 7\r\nH: 8 8\r\n";
        const string sent = "A: 1\r\nB: 2\r\nC: 3\r\nD: \r\nE: \r\nF: 6\r\nG: 7\r\nH: 8 8\r\n";

        Assert.Contains($"\r\n{sent}", await AnsweredAsync(written));
        Assert.Contains($"\r\n{sent}", await SeenAsync(written));
    }

    [Fact]
    public async Task Hop_by_hop_fields_of_the_instance_end_here()
    {
        var answered = await AnsweredAsync(
            "Connection: X-Secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n" +
            "Proxy-Authenticate: Basic\r\nTrailer: X\r\nUpgrade: h2c\r\nTE: gzip\r\nServer: inner\r\nDate: then\r\n");

        foreach (var name in new[] { "X-Secret", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Trailer", "Upgrade", "\r\nTE:", "Connection" })
            Assert.DoesNotContain(name, answered, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("\r\nServer: inner\r\n", answered);
        Assert.Contains("\r\nDate: then\r\n", answered);
    }

    [Fact]
    public async Task The_reason_of_the_instance_is_kept()
    {
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 299 All Right Then\r\nContent-Length: 0\r\n\r\n");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        Assert.StartsWith("HTTP/1.1 299 All Right Then\r\n", await proxy.GetAsync());
    }

    [Fact]
    public async Task The_debugging_fields_can_be_left_out()
    {
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 200 OK\r\nVia: 1.0 inner\r\nContent-Length: 2\r\n\r\nok");
        await using var with = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var without = await TestProxy.StartUnprobedAsync(TimeProvider.System, null, TestProxy.Service(instance.EndPoint));

        var said = await with.GetAsync();
        var silent = await without.GetAsync();

        Assert.Contains("\r\nVia: 1.0 inner\r\nVia: 1.1 millau\r\n", said);
        Assert.Contains("\r\nX-Served-By: proxy-1\r\nX-Backend-Server: app-1\r\n", said);
        Assert.Contains("\r\nVia: 1.0 inner\r\n", silent);
        foreach (var name in new[] { "millau", "X-Served-By", "X-Backend-Server" }) Assert.DoesNotContain(name, silent);
    }

    [Fact]
    public async Task A_large_head_within_the_limits_passes()
    {
        var fields = string.Concat(Enumerable.Range(0, 190).Select(i => $"X-{i}: {new string('v', 140)}\r\n"));
        await using var instance = ScriptedInstance.Answering($"HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        for (var i = 0; i < 2; i++)
        {
            var answer = await proxy.GetAsync();
            Assert.Contains(fields[^150..], answer);
            Assert.EndsWith("\r\n\r\nok", answer);
        }
        Assert.Equal(1, instance.Connections);
    }
}
