using System.Text;
using Millau.Http1;

namespace Millau.Tests.Http1;

public class ResponseParserTests
{
    public static TheoryData<string> Heads => new(
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 200 \r\n\r\n",
        "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 299 A reason of m\u00fcch length\r\nX-A:b\r\nX-Empty:\r\nX-Blank: \t \r\nX-B: \t b c \t\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-ENCODING: Chunked\r\nConnection: X-A, Close\r\nKeep-Alive: max=3, timeout=7\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n");

    public static TheoryData<string> Broken => new(
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "<html>\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 2xx OK\r\n\r\n",
        "HTTP/1.1 000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \u0001\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \u007f\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA B: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA(B): c\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\u00fc: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nnocolon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: \u000bchunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: " + new string('b', ResponseParser.MaxHeadBytes) + "\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" + string.Concat(Enumerable.Repeat("A: b\r\n", ResponseParser.MaxFields + 1)) + "\r\n");

    [Theory]
    [MemberData(nameof(Heads))]
    public void A_head_is_the_same_in_one_piece_in_any_two_and_byte_by_byte(string text)
    {
        var bytes = Encoding.Latin1.GetBytes(text + "HTTP/1.1 body");
        var whole = Parse(bytes, [bytes.Length]);

        for (var split = 1; split < text.Length; split++) Assert.Equal(whole, Parse(bytes, [split, bytes.Length]));
        Assert.Equal(whole, Parse(bytes, [.. Enumerable.Range(1, bytes.Length)]));
        Assert.StartsWith($"Complete {text.Length} ", whole);
    }

    [Theory]
    [MemberData(nameof(Broken))]
    public void What_two_readers_could_understand_differently_is_refused_however_it_comes(string text)
    {
        var bytes = Encoding.Latin1.GetBytes(text);

        Assert.Equal("Invalid", Parse(bytes, [bytes.Length]));
        // A long one is cut at a few places only.
        var step = Math.Max(1, bytes.Length / 200);
        for (var split = 1; split < bytes.Length; split += step) Assert.Equal("Invalid", Parse(bytes, [split, bytes.Length]));
    }

    [Fact]
    public void Every_prefix_is_incomplete()
    {
        var bytes = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"u8.ToArray();

        for (var length = 1; length < bytes.Length; length++) Assert.Equal("Incomplete", Parse(bytes, [length]));
    }

    [Fact]
    public void A_head_without_end_is_refused_at_its_limit()
    {
        var bytes = Encoding.Latin1.GetBytes("HTTP/1.1 200 OK\r\nA: " + new string('b', ResponseParser.MaxHeadBytes));

        Assert.Equal("Incomplete", Parse(bytes, [ResponseParser.MaxHeadBytes]));
        Assert.Equal("Invalid", Parse(bytes, [ResponseParser.MaxHeadBytes + 1]));
    }

    [Fact]
    public void What_matters_is_read()
    {
        var head = new ResponseHead();
        var bytes = Encoding.Latin1.GetBytes(
            "HTTP/1.0 206 Some Of It\r\nConnection: keep-alive , X-A\r\nkeep-alive: timeout=12\r\nCONTENT-LENGTH: 0042\r\nX-A: \t b \t\r\n\r\n");
        Assert.Equal(ParseStatus.Complete, new ResponseParser().Parse(bytes, head));

        Assert.Equal((206, 0, 42L, 12), (head.Status, head.MinorVersion, head.ContentLength, head.KeepAliveSeconds));
        Assert.Equal((true, false, true), (head.ConnectionKeepAlive, head.ConnectionClose, head.ConnectionNamesFields));
        Assert.Equal("Some Of It", Encoding.Latin1.GetString(bytes, head.ReasonStart, head.ReasonLength));
        Assert.Equal("X-A=b", Text(bytes, head.Fields[3]));
        head.Clear();
        Assert.Equal((0, -1L, -1, 0), (head.Status, head.ContentLength, head.KeepAliveSeconds, head.FieldCount));
        Assert.False(head.ConnectionKeepAlive || head.ConnectionNamesFields);
    }

    [Fact]
    public void Transfer_encoding_wins_over_a_length_and_spoils_the_connection()
    {
        var head = new ResponseHead();
        new ResponseParser().Parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"u8, head);

        Assert.Equal((true, true, -1L), (head.IsChunked, head.HasBothFramings, head.ContentLength));
    }

    // Gives the parser the bytes up to each end in turn, as a buffer that fills does.
    private static string Parse(byte[] bytes, int[] ends)
    {
        var parser = new ResponseParser();
        var head = new ResponseHead();
        foreach (var end in ends)
        {
            var status = parser.Parse(bytes.AsSpan(0, end), head);
            if (status == ParseStatus.Invalid) return "Invalid";
            if (status == ParseStatus.Incomplete) continue;
            var fields = new List<string>();
            foreach (var field in head.Fields) fields.Add(Text(bytes, field));
            return $"Complete {parser.HeadLength} {head.Status} {head.MinorVersion} {head.ContentLength} {head.IsChunked} " +
                $"{head.HasBothFramings} {head.ConnectionClose} {head.ConnectionKeepAlive} {head.KeepAliveSeconds} " +
                $"{Encoding.Latin1.GetString(bytes, head.ReasonStart, head.ReasonLength)} {string.Join('|', fields)}";
        }
        return "Incomplete";
    }

    private static string Text(byte[] bytes, Field field) =>
        Encoding.Latin1.GetString(bytes, field.NameStart, field.NameLength) + "=" +
        Encoding.Latin1.GetString(bytes, field.ValueStart, field.ValueLength);
}
