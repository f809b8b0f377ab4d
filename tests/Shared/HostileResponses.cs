namespace Millau.Tests.Shared;

/// <summary>What an instance answers and no client may get to see.</summary>
/// <param name="Row">The row of docs/hostile.md.</param>
/// <param name="Name">Short, unique.</param>
/// <param name="Bytes">As Latin-1; whatever contains <c>evil</c> must not get through.</param>
internal sealed record HostileResponse(int Row, string Name, string Bytes);

/// <summary>Every answer that is a 502 in place of itself, row by row.</summary>
internal static class HostileResponses
{
    public static IReadOnlyList<HostileResponse> All { get; } =
    [
        Fields(37, "lengths-differ", "Content-Length: 2\r\nContent-Length: 3"),
        Fields(37, "length-list", "Content-Length: 4, 4"),
        Fields(37, "length-plus", "Content-Length: +2"),
        Fields(37, "length-minus", "Content-Length: -1"),
        Fields(37, "length-empty", "Content-Length:"),
        Fields(37, "length-huge", "Content-Length: 18446744073709551618"),
        Fields(39, "coding-gzip-chunked", "Transfer-Encoding: gzip, chunked"),
        Fields(39, "coding-twice", "Transfer-Encoding: chunked, chunked"),
        Fields(39, "coding-two-lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        Fields(39, "coding-identity", "Transfer-Encoding: identity"),
        Fields(42, "nul", "X-A: evil\0"),
        Fields(42, "bare-cr", "X-A: evil\rb"),
        Fields(42, "bare-lf", "X-A: evil\nX-B: b"),
        Fields(42, "control", "X-A: evil\u0001"),
        Fields(42, "name-with-space", "evil name: b"),
        Fields(42, "name-empty", ": evil"),
        Fields(42, "length-space-colon", "Content-Length : 4"),
        Fields(42, "no-colon", "evil"),
        Fields(42, "folded", "X-A: evil\r\n folded"),
        Fields(42, "head-64-kib", "X-A: evil" + new string('a', 64 * 1024)),
        Fields(42, "headers-2000", string.Join("\r\n", Enumerable.Repeat("X-A: evil", 2000))),
        new(42, "status-2xx", "HTTP/1.1 2xx OK\r\n\r\nevil"),
        new(42, "status-000", "HTTP/1.1 000 OK\r\n\r\nevil"),
        new(42, "status-four-digits", "HTTP/1.1 2000 OK\r\n\r\nevil"),
        new(42, "reason-nul", "HTTP/1.1 200 e\0vil\r\n\r\nevil"),
        new(42, "http-09", "<html>evil</html>\r\n\r\n"),
        new(42, "http-2", "HTTP/2.0 200 OK\r\n\r\nevil"),
        new(42, "http-12", "HTTP/1.2 200 OK\r\n\r\nevil"),
        new(42, "garbage", "\u0016\u0003\u0001evil\r\n\r\n"),
        new(42, "space-first", " HTTP/1.1 200 OK\r\n\r\nevil"),
        new(43, "interim-1000", string.Concat(Enumerable.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000)) + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
        new(43, "interim-for-ever", string.Concat(Enumerable.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000))),
        new(43, "unasked-101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\nevil"),
        new(43, "unasked-101-then-answer", "HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ];

    private static HostileResponse Fields(int row, string name, string fields) =>
        new(row, name, $"HTTP/1.1 200 OK\r\n{fields}\r\n\r\nevil");
}
