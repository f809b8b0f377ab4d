namespace Millau.Tests.Shared;

/// <summary>A request with a trap in it that is forwarded without the trap.</summary>
/// <param name="Row">The row of docs/hostile.md.</param>
/// <param name="Name">Short, unique; a file name too.</param>
/// <param name="Bytes">What the client sends, as Latin-1.</param>
/// <param name="Line">Method and target as the instance gets them.</param>
/// <param name="Before">The fields that stand between <c>Host</c> and Millau's own.</param>
/// <param name="After">What follows Millau's own fields: framing, empty line, body.</param>
internal sealed record HarmlessRequest(int Row, string Name, string Bytes, string Line, string Before = "", string After = "\r\n")
{
    /// <summary>All that an instance gets of a client on the loopback address.</summary>
    public string Forwarded =>
        $"{Line} HTTP/1.1\r\nHost: a.test\r\n{Before}X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n" +
        $"X-Forwarded-Host: a.test\r\nX-Real-IP: 127.0.0.1\r\n{After}";
}

/// <summary>Every request that is forwarded in another form than it came in, row by row.</summary>
internal static class HarmlessRequests
{
    private const string LastChunk = "0\r\n\r\n";
    private const string Chunked = "Transfer-Encoding: chunked\r\n\r\n";

    public static IReadOnlyList<HarmlessRequest> All { get; } =
    [
        Post(7, "length-zeros", "Content-Length: 0002", "ab", "Content-Length: 2\r\n\r\nab"),
        Post(11, "extension-short", "Transfer-Encoding: chunked", "2;a=\"b;c\"\r\nab\r\n0;x\r\n\r\n", Chunked + "2\r\nab\r\n" + LastChunk),
        Post(11, "size-zeros", "Transfer-Encoding: chunked", "0002\r\nab\r\n" + LastChunk, Chunked + "2\r\nab\r\n" + LastChunk),
        Trailer(12, "trailer-content-length", "Content-Length: 5"),
        Trailer(12, "trailer-host", "Host: evil.test"),
        Trailer(12, "trailer-transfer-encoding", "Transfer-Encoding: chunked"),
        Trailer(12, "trailer-authorization", "Authorization: Basic ZXZpbA=="),
        new(14, "absolute-equal", "GET http://a.test/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /x?y"),
        new(14, "absolute-equal-case", "GET http://A.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /x"),
        new(14, "absolute-without-path", "GET http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /"),
        Target(17, "dots", "/a/../b", "/b"),
        Target(17, "dots-encoded", "/a/%2e%2e/b", "/b"),
        Target(17, "dots-half-encoded", "/a/.%2E/b", "/b"),
        Target(17, "dots-beyond-the-root", "/../../b", "/b"),
        Target(17, "dots-at-the-end", "/a/b/..", "/a/"),
        Target(17, "dot-single", "/a/./b", "/a/b"),
        Target(18, "two-slashes", "//x//y", "//x//y"),
        Target(18, "encoded-slash", "/a%2fb", "/a%2fb"),
        Target(18, "parameter", "/a;p=1/b", "/a;p=1/b"),
        Target(18, "encoded-line-end", "/%0d%0aX:%20y", "/%0d%0aX:%20y"),
        Target(18, "no-encoding", "/%zz%", "/%zz%"),
        Get(21, "upgrade-h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
        Post(21, "upgrade-h2c-with-body", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\nContent-Length: 2",
            "ab", "Content-Length: 2\r\n\r\nab"),
        Get(24, "connection-names-trust", "Connection: X-Forwarded-For, X-Real-IP, Host, Cookie\r\nCookie: a=b"),
        Post(24, "connection-names-length", "Connection: Content-Length\r\nContent-Length: 2", "ab", "Content-Length: 2\r\n\r\nab"),
        Post(24, "connection-names-coding", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", "2\r\nab\r\n" + LastChunk,
            Chunked + "2\r\nab\r\n" + LastChunk),
        Get(24, "connection-names-other", "Connection: X-Hop\r\nX-Hop: 1"),
        Get(24, "connection-names-other-keep-alive", "Connection: X-Hop, keep-alive\r\nX-Hop: 1"),
        Get(24, "connection-names-other-close", "Connection: close, X-Hop\r\nX-Hop: 1"),
        Get(24, "connection-names-other-two-lines", "Connection: X-Hop\r\nX-Hop: 1\r\nConnection: keep-alive"),
        Get(24, "connection-names-other-upgrade", "Connection: upgrade, X-Hop\r\nX-Hop: 1"),
        Get(25, "underscores", "X_Forwarded_For: 6.6.6.6\r\nX_Forwarded_Proto: https\r\nX-Forwarded_Host: evil\r\nX_REAL_IP: 6.6.6.6"),
        Get(25, "trust-headers", "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\nX-Real-Ip: 6.6.6.6"),
    ];

    private static HarmlessRequest Get(int row, string name, string fields) =>
        new(row, name, $"GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n\r\n", "GET /");

    private static HarmlessRequest Post(int row, string name, string fields, string body, string after) =>
        new(row, name, $"POST / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n\r\n{body}", "POST /", After: after);

    private static HarmlessRequest Trailer(int row, string name, string field) =>
        Post(row, name, "Transfer-Encoding: chunked", $"2\r\nab\r\n0\r\n{field}\r\n\r\n", Chunked + "2\r\nab\r\n" + LastChunk);

    private static HarmlessRequest Target(int row, string name, string target, string sent) =>
        new(row, name, $"GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET " + sent);
}
