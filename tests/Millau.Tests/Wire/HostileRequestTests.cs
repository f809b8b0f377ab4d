namespace Millau.Tests.Wire;

/// <summary>Requests that must not reach an instance, or not as they were written.</summary>
public class HostileRequestTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    public static TheoryData<string, string> Refused => new()
    {
        { "400", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
        { "400", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" },
        { "4|501", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" },
        { "4|501", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" },
        { "4|501", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \u000bchunked\r\n\r\n0\r\n\r\n" },
        { "4|501", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n" },
        { "4|501", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" },
        { "501", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" },
        { "400", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" },
        { "400", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
        { "400", "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
        { "400", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\n folded\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a.test\r\nnocolon\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a.test\r\n: empty\r\n\r\n" },
        { "400", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc" },
        { "400", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2, 2\r\n\r\nab" },
        { "400", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: -1\r\n\r\nab" },
        { "400", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0x2\r\n\r\nab" },
        { "400", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 18446744073709551618\r\n\r\nab" },
        { "400", "GET / HTTP/1.1\nHost: a.test\n\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\nX-B: 2\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\rX-B: 2\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\02\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\u00012\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\u007f2\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a.test\r\nX(Y): 1\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost:\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n" },
        { "400", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n" },
        { "400", "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n" },
        { "400", "GET http://u@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n" },
        { "4|501", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n" },
        { "501", "TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n" },
        { "400", "GET /\u0001 HTTP/1.1\r\nHost: a.test\r\n\r\n" },
        { "400", "GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n" },
        { "400", "GET /a\\b HTTP/1.1\r\nHost: a.test\r\n\r\n" },
        { "400", "GET /%00 HTTP/1.1\r\nHost: a.test\r\n\r\n" },
        { "414", "GET /" + new string('a', 9 * 1024) + " HTTP/1.1\r\nHost: a.test\r\n\r\n" },
        { "431", "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: " + new string('a', 40 * 1024) + "\r\n\r\n" },
        { "431", "GET / HTTP/1.1\r\nHost: a.test\r\n" + string.Concat(Enumerable.Repeat("X-A: 1\r\n", 101)) + "\r\n" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Such_a_request_is_refused_and_nothing_of_it_reaches_an_instance(string status, string request)
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        // What follows is not to be taken for a request of its own.
        var answer = await proxy.RoundTripAsync(request + "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n");

        Assert.Matches($"^HTTP/1.1 ({status})", answer);
        Assert.Equal(0, answer.LastIndexOf("HTTP/1.1 ", StringComparison.Ordinal));
        Assert.Equal(0, instance.Connections);
    }

    [Theory]
    [InlineData("12345678901234567")]
    [InlineData("ffffffffffffffff")]
    [InlineData("0x2")]
    [InlineData("-2")]
    [InlineData("+2")]
    [InlineData("2_0")]
    [InlineData("")]
    [InlineData("2\r\nabc")]
    public async Task A_broken_chunk_is_refused_and_never_completes_a_request(string chunk)
    {
        var whole = 0;
        await using var instance = new ScriptedInstance(async c =>
        {
            var request = await c.ReadUntilAsync("0\r\n\r\n");
            if (request.EndsWith("\r\n0\r\n\r\n", StringComparison.Ordinal)) Interlocked.Increment(ref whole);
            await c.SendAsync(Ok);
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        var answer = await proxy.RoundTripAsync(
            $"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}\r\nab\r\n0\r\n\r\n");

        if (answer.Length > 0) Assert.StartsWith("HTTP/1.1 400 ", answer);
        Assert.Equal(0, whole);
    }

    [Theory]
    [InlineData("/a/../b", "/b")]
    [InlineData("/a/%2e%2e/b", "/b")]
    [InlineData("//x//y", "//x//y")]
    [InlineData("/a%2fb;p?%zz", "/a%2fb;p?%zz")]
    [InlineData("/%0d%0aX:%20y", "/%0d%0aX:%20y")]
    [InlineData("http://a.test/x?y", "/x?y")]
    public async Task A_target_reaches_the_instance_as_it_was_matched(string written, string sent)
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        Assert.EndsWith("ok", await proxy.GetAsync(written));

        Assert.StartsWith($"GET {sent} HTTP/1.1\r\nHost: a.test\r\n", seen);
    }

    [Fact]
    public async Task The_star_target_is_for_options()
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        await proxy.RoundTripAsync("OPTIONS * HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");

        Assert.StartsWith("OPTIONS * HTTP/1.1\r\n", seen);
    }
}
