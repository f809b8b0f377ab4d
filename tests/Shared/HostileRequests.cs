namespace Millau.Tests.Shared;

/// <summary>A request of which nothing may reach an instance.</summary>
/// <param name="Row">The row of docs/hostile.md.</param>
/// <param name="Name">Short, unique; a file name too.</param>
/// <param name="Status">A pattern of the statuses that are right.</param>
/// <param name="Bytes">As Latin-1.</param>
internal sealed record HostileRequest(int Row, string Name, string Status, string Bytes);

/// <summary>
/// Every request that is refused, row by row. One list for the wire tests, the fuzzers and the run beside other proxies.
/// </summary>
internal static class HostileRequests
{
    private const string LastChunk = "0\r\n\r\n";

    public static IReadOnlyList<HostileRequest> All { get; } =
    [
        Post(1, "length-then-chunked", "400", "Content-Length: 4\r\nTransfer-Encoding: chunked", LastChunk),
        Post(1, "chunked-then-length", "400", "Transfer-Encoding: chunked\r\nContent-Length: 4", LastChunk),
        Post(2, "coding-xchunked", "400|501", "Transfer-Encoding: xchunked", LastChunk),
        Post(2, "coding-quoted", "400|501", "Transfer-Encoding: \"chunked\"", LastChunk),
        Post(2, "coding-vertical-tab", "400|501", "Transfer-Encoding: \u000bchunked", LastChunk),
        Post(2, "coding-empty", "400|501", "Transfer-Encoding:", LastChunk),
        Post(2, "coding-then-identity", "400|501", "Transfer-Encoding: chunked, identity", LastChunk),
        Post(3, "coding-gzip-chunked", "501", "Transfer-Encoding: gzip, chunked", LastChunk),
        Post(4, "coding-twice", "400", "Transfer-Encoding: chunked, chunked", LastChunk),
        Post(4, "coding-two-lines", "400", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", LastChunk),
        new(4, "coding-http10", "400", "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n" + LastChunk),
        Post(5, "space-before-colon-coding", "400", "Transfer-Encoding : chunked", LastChunk),
        Get(5, "space-before-colon", "400", "X : a"),
        Get(5, "folded", "400", "X-A: 1\r\n folded"),
        Get(5, "folded-tab", "400", "X-A: 1\r\n\tfolded"),
        new(5, "first-line-space", "400", "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n"),
        new(5, "first-line-space-then-host", "400", "GET / HTTP/1.1\r\n X-A: 1\r\nHost: a.test\r\n\r\n"),
        Get(5, "no-colon", "400", "nocolon"),
        Get(5, "empty-name", "400", ": empty"),
        Post(6, "length-twice-differing", "400", "Content-Length: 2\r\nContent-Length: 3", "abc"),
        Post(6, "length-twice", "400", "Content-Length: 2\r\nContent-Length: 2", "ab"),
        Post(6, "length-list", "400", "Content-Length: 2, 2", "ab"),
        Post(6, "length-list-differing", "400", "Content-Length: 2, 3", "abc"),
        Post(6, "length-negative", "400", "Content-Length: -1", "ab"),
        Post(6, "length-hex", "400", "Content-Length: 0x2", "ab"),
        Post(6, "length-decimal", "400", "Content-Length: 2.0", "ab"),
        Post(6, "length-space", "400", "Content-Length: 2 2", "ab"),
        Post(6, "length-huge", "400", "Content-Length: 18446744073709551618", "ab"),
        Post(6, "length-empty", "400", "Content-Length:", "ab"),
        Post(7, "length-plus", "400", "Content-Length: +2", "ab"),
        new(8, "bare-lf", "400", "GET / HTTP/1.1\nHost: a.test\n\n"),
        new(8, "bare-lf-first", "400", "GET / HTTP/1.1\nHost: a.test\r\n\r\n"),
        new(8, "bare-lf-last", "400", "GET / HTTP/1.1\r\nHost: a.test\r\n\n"),
        Get(8, "bare-lf-between", "400", "X-A: 1\nX-B: 2"),
        Get(8, "bare-cr", "400", "X-A: 1\rX-B: 2"),
        new(8, "bare-cr-in-target", "400", "GET /a\rb HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        Get(8, "two-cr", "400", "X-A: 1\r"),
        Get(8, "nul-in-value", "400", "X-A: 1\02"),
        Get(8, "nul-in-name", "400", "X\0A: 1"),
        new(8, "nul-in-target", "400", "GET /\0 HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        Get(9, "control-01", "400", "X-A: 1\u00012"),
        Get(9, "control-7f", "400", "X-A: 1\u007f2"),
        Get(9, "name-parentheses", "400", "X(Y): 1"),
        Chunk(10, "size-17-digits", "12345678901234567"),
        Chunk(10, "size-max", "ffffffffffffffff"),
        Chunk(10, "size-hex-prefix", "0x2"),
        Chunk(10, "size-minus", "-2"),
        Chunk(10, "size-plus", "+2"),
        Chunk(10, "size-space-before", " 2"),
        Chunk(10, "size-underscore", "2_0"),
        Chunk(10, "size-empty", ""),
        Post(10, "data-longer-than-size", "400", "Transfer-Encoding: chunked", "2\r\nabc\r\n" + LastChunk),
        Post(10, "data-without-line-end", "400", "Transfer-Encoding: chunked", "2\r\nab" + LastChunk),
        Post(10, "chunk-bare-lf", "400", "Transfer-Encoding: chunked", "2\nab\n0\n\n"),
        Post(10, "extension-bare-lf", "400", "Transfer-Encoding: chunked", "2;x\nab\r\n" + LastChunk),
        Post(11, "extension-2-mib", "400", "Transfer-Encoding: chunked", "2;" + new string('x', 2 * 1024 * 1024) + "\r\nab\r\n" + LastChunk),
        new(13, "host-none", "400", "GET / HTTP/1.1\r\n\r\n"),
        new(13, "host-two", "400", "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n"),
        new(13, "host-two-same", "400", "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n"),
        Host(13, "host-slash", "a/b"),
        Host(13, "host-at", "a@b"),
        Host(13, "host-comma", "a, b"),
        Host(13, "host-empty", ""),
        Host(13, "host-port-too-large", "a:99999"),
        new(14, "absolute-differs", "400", "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        new(14, "absolute-port-differs", "400", "GET http://a.test:81/ HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        new(14, "absolute-userinfo", "400", "GET http://u@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        new(15, "connect", "400|405|501", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"),
        new(15, "trace", "405|501", "TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        Target(16, "target-01", "/\u0001"),
        Target(16, "target-7f", "/\u007f"),
        Target(16, "target-hash", "/a#b"),
        Target(16, "target-backslash", "/a\\b"),
        Target(16, "target-tab", "/a\tb"),
        Target(16, "target-space", "/a b"),
        Target(16, "target-utf8", "/\u00c3\u00bc"),
        Target(17, "dots-behind-encoded-slash", "/a%2f../b"),
        Target(17, "dots-behind-encoded-backslash", "/a%5c../b"),
        Target(18, "target-encoded-nul", "/%00"),
        new(19, "target-9-kib", "414", "GET /" + new string('a', 9 * 1024) + " HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        Get(19, "headers-40-kib", "431", "X-A: " + new string('a', 40 * 1024)),
        Get(19, "headers-101", "431", string.Join("\r\n", Enumerable.Repeat("X-A: 1", 101))),
        Post(23, "upgrade-with-length", "400", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4", "body"),
        Post(23, "upgrade-with-chunks", "400", "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked", "4\r\nbody\r\n" + LastChunk),
    ];

    private static HostileRequest Get(int row, string name, string status, string fields) =>
        new(row, name, status, $"GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n\r\n");

    private static HostileRequest Post(int row, string name, string status, string fields, string body) =>
        new(row, name, status, $"POST / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n\r\n{body}");

    private static HostileRequest Chunk(int row, string name, string size) =>
        Post(row, name, "400", "Transfer-Encoding: chunked", $"{size}\r\nab\r\n{LastChunk}");

    private static HostileRequest Host(int row, string name, string host) =>
        new(row, name, "400", $"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");

    private static HostileRequest Target(int row, string name, string target) =>
        new(row, name, "400", $"GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
}
