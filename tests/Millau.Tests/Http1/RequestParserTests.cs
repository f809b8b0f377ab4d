using System.Buffers;
using System.Text;
using Millau.Http1;

namespace Millau.Tests.Http1;

public class RequestParserTests
{
    public static TheoryData<string, string> Heads => new()
    {
        { "GET / HTTP/1.1\r\n\r\n", "GET / 1" },
        { "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1 Host=a" },
        { "OPTIONS * HTTP/1.0\r\nA:b\r\nc: \t d \t\r\nE:\r\n\r\n", "OPTIONS * 0 A=b|c=d|E=" },
        { "M-SEARCH http://a/b?c HTTP/1.1\r\nX: \u00fc\r\nx: \"y, z\"\r\n\r\n", "M-SEARCH http://a/b?c 1 X=\u00fc|x=\"y, z\"" },
    };

    public static TheoryData<string, int> Refused => new()
    {
        { "GET /\r\n", 400 },
        { "GET / \r\n", 400 },
        { "GET  / HTTP/1.1\r\n", 400 },
        { " GET / HTTP/1.1\r\n", 400 },
        { "G(T / HTTP/1.1\r\n", 400 },
        { "GET / http/1.1\r\n", 400 },
        { "GET / HTTP/1.1 \r\n", 400 },
        { "GET / HTTP/11\r\n", 400 },
        { "GET / HTTP/1.2\r\n", 505 },
        { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
        { "\r\n\r\nGET / HTTP/1.1\r\n", 400 },
        { "GET / HTTP/1.1\n", 400 },
        { "GET / HTTP/1.1\r\nA: b\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n A: b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nA\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n: b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nA : b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nA: b\0\r\n\r\n", 400 },
    };

    [Theory]
    [MemberData(nameof(Heads))]
    public void A_head_is_the_same_in_one_piece_in_any_two_and_byte_by_byte(string head, string expected)
    {
        expected = $"Complete {head.Length} {expected}".TrimEnd();
        foreach (var ends in Ends(head.Length)) Assert.Equal(expected, Parse(head + "next", ends));
        for (var length = 0; length < head.Length; length++) Assert.Equal("Incomplete", Parse(head, [length]));
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_two_readers_could_understand_differently_is_refused_however_it_comes(string head, int status)
    {
        foreach (var ends in Ends(head.Length)) Assert.Equal($"Invalid {status}", Parse(head, ends));
    }

    [Fact]
    public void Lines_and_sections_have_a_longest_length_whether_they_end_or_not()
    {
        var line = "GET /" + new string('a', RequestParser.MaxLineBytes - "GET / HTTP/1.1".Length) + " HTTP/1.1\r\n";
        Assert.StartsWith("Complete", Parse(line + "\r\n", [line.Length + 2]));
        Assert.Equal("Invalid 414", Parse("GET /a" + line[5..], [line.Length + 1]));
        Assert.Equal("Invalid 414", Parse(new string('a', RequestParser.MaxLineBytes + 2), [RequestParser.MaxLineBytes + 2]));

        const string first = "GET / HTTP/1.1\r\n";
        var field = $"A: {new string('b', RequestParser.MaxFieldBytes - 10)}\r\n";
        Assert.StartsWith("Complete", Parse($"{first}{field}\r\n", [first.Length + field.Length + 2]));
        Assert.Equal("Invalid 431", Parse($"{first}{field}C: 12345678\r\n\r\n", [first.Length + field.Length + 15]));
        Assert.Equal("Invalid 431", Parse(first + "A: " + new string('b', RequestParser.MaxFieldBytes), [first.Length + RequestParser.MaxFieldBytes + 3]));

        var fields = string.Concat(Enumerable.Repeat("A: b\r\n", RequestParser.MaxFields));
        Assert.StartsWith("Complete", Parse($"{first}{fields}\r\n", [first.Length + fields.Length + 2]));
        Assert.Equal("Invalid 431", Parse($"{first}{fields}A: b\r\n\r\n", [first.Length + fields.Length + 8]));
    }

    private static IEnumerable<int[]> Ends(int length)
    {
        yield return [length];
        for (var split = 1; split < length; split++) yield return [split, length];
        yield return [.. Enumerable.Range(1, length)];
    }

    // Gives the parser the bytes up to each end in turn, as a buffer that fills does.
    private static string Parse(string text, int[] ends)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        var parser = new RequestParser();
        var fields = new RequestFields();
        foreach (var end in ends)
        {
            var status = parser.Parse(bytes.AsSpan(0, end), fields);
            if (status == ParseStatus.Invalid) return $"Invalid {parser.Refusal.Status}";
            if (status == ParseStatus.Incomplete) continue;
            fields.Attach(new ReadOnlySequence<byte>(bytes, 0, parser.HeadLength));
            var all = new List<string>();
            foreach (var field in fields.All)
                all.Add($"{Encoding.Latin1.GetString(field.Name(fields.Bytes))}={Encoding.Latin1.GetString(field.Value(fields.Bytes))}");
            fields.Release();
            return ($"Complete {parser.HeadLength} {text.Substring(parser.MethodStart, parser.MethodLength)} "
                + $"{text.Substring(parser.TargetStart, parser.TargetLength)} {parser.MinorVersion} {string.Join('|', all)}").TrimEnd();
        }
        return "Incomplete";
    }
}
