using System.Buffers;
using System.Text;
using CsCheck;
using Millau.Http1;

namespace Millau.Tests.Http1;

public class RequestWriterTests
{
    // Characters that matter to one grammar or another, more often than all the others.
    private static readonly Gen<char> Nasty =
        Gen.OneOf(AnyOf([.. "\r\n\0 \t:#/aZ\u007f\u0085\u00ff\u0100\u010a\u010d"]), Gen.Char);

    private static readonly Gen<string> Text = Gen.OneOf(
        AnyOf(["GET", "/", "Host", "value", "X-A"]), Gen.String[Nasty, 0, 6]);

    [Fact]
    public void Whatever_it_is_given_it_writes_one_request_or_says_no() =>
        Gen.Select(Text, Text, Gen.Select(Text, Text).Array[0, 4], Text).Sample((method, target, fields, own) =>
        {
            var writer = new RequestWriter();
            writer.Start(method, target);
            writer.Field("Host: "u8, own);
            foreach (var (name, value) in fields) writer.Field(name, value);
            writer.ContentLength(7);
            writer.End();
            var valid = writer.IsValid;
            var lines = Encoding.Latin1.GetString(writer.Written.Span).Split("\r\n");
            writer.Release();
            if (!valid) return;
            // Request line, own field, the others, the length, and what follows the last two line ends: nothing.
            Assert.Equal(fields.Length + 5, lines.Length);
            Assert.Equal($"{method} {target} HTTP/1.1", lines[0]);
            Assert.Equal(3, lines[0].Split(' ').Length);
            Assert.Equal("Host: " + own, lines[1]);
            for (var i = 0; i < fields.Length; i++) Assert.Equal($"{fields[i].Item1}: {fields[i].Item2}", lines[i + 2]);
            Assert.Equal(["Content-Length: 7", "", ""], lines[^3..]);
            Assert.All(lines, line => Assert.DoesNotContain(line, c => char.IsControl(c) && c != '\t' && c < '\u0080'));
            Assert.All(fields, field => Assert.DoesNotContain(':', field.Item1));
        });

    private static Gen<T> AnyOf<T>(T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    [Theory]
    [InlineData("", "/", false)]
    [InlineData("G T", "/", false)]
    [InlineData("GET", "", false)]
    [InlineData("GET", "/ b", false)]
    [InlineData("GET", "/#b", false)]
    [InlineData("GET", "/\u00fc", false)]
    [InlineData("M-SEARCH", "*", true)]
    [InlineData("GET", "/a?b=%20", true)]
    public void The_request_line_follows_its_grammar(string method, string target, bool valid)
    {
        var writer = new RequestWriter();
        writer.Start(method, target);

        Assert.Equal(valid, writer.IsValid);
        writer.Release();
    }

    [Fact]
    public void Once_invalid_stays_invalid_until_the_next_start()
    {
        var writer = new RequestWriter();
        writer.Start("GET", "/");
        writer.Field("A", "b\nC: d");
        writer.Field("B", "c");
        Assert.False(writer.IsValid);

        writer.Start("GET", "/");
        writer.End();

        Assert.True(writer.IsValid);
        Assert.Equal("GET / HTTP/1.1\r\n\r\n", Encoding.Latin1.GetString(writer.Written.Span));
        writer.Release();
    }

    [Fact]
    public void It_grows_and_carries_a_body_and_starts_afresh_after_release()
    {
        var value = new string('\u00fc', 30_000);
        var body = new byte[20_000];
        Array.Fill(body, (byte)'b');
        var writer = new RequestWriter();
        for (var round = 0; round < 2; round++)
        {
            writer.Start("PUT", "/");
            writer.Field("A", value);
            writer.End();
            writer.Body(new ReadOnlySequence<byte>(body));
            Assert.Equal(
                $"PUT / HTTP/1.1\r\nA: {value}\r\n\r\n{new string('b', body.Length)}", Encoding.Latin1.GetString(writer.Written.Span));
            writer.Release();
            Assert.Equal(0, writer.Length);
        }
        writer.Release();
    }
}
