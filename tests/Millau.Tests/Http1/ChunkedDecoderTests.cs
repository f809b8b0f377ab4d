using System.Text;
using CsCheck;
using Millau.Http1;

namespace Millau.Tests.Http1;

public class ChunkedDecoderTests
{
    public static TheoryData<string, string> Bodies => new()
    {
        { "0\r\n\r\n", "" },
        { "5\r\nhello\r\n0\r\n\r\n", "hello" },
        { "A\r\n0123456789\r\n1\r\na\r\n0\r\n\r\n", "0123456789a" },
        { "005\r\nhello\r\n000\r\n\r\n", "hello" },
        { "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n", "hello" },
        { "5 \r\nhello\r\n0\t\r\n\r\n", "hello" },
        { "2\r\n\r\n\r\n0\r\n\r\n", "\r\n" },
        { "1\r\na\r\n0\r\nA: b\r\nContent-Length: 4\r\n\r\n", "a" },
    };

    [Theory]
    [MemberData(nameof(Bodies))]
    public void A_body_is_the_same_in_one_piece_in_any_two_and_byte_by_byte(string framed, string body)
    {
        var input = framed + "HTTP/1.1 next";
        var expected = (body, framed.Length);

        Assert.Equal(expected, Decode([input]));
        for (var split = 1; split < framed.Length; split++) Assert.Equal(expected, Decode([input[..split], input[split..]]));
        Assert.Equal(expected, Decode([.. input.Select(c => c.ToString())]));
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData(" 5\r\n")]
    [InlineData("+5\r\n")]
    [InlineData("-5\r\n")]
    [InlineData("0x5\r\n")]
    [InlineData("5_0\r\n")]
    [InlineData("g\r\n")]
    [InlineData("5\n")]
    [InlineData("5\rx")]
    [InlineData("5;a\n")]
    [InlineData("5;a\rb")]
    [InlineData("1234567890123456\r\n")]
    [InlineData("ffffffffffffffff\r\n")]
    [InlineData("1\r\nab")]
    [InlineData("1\r\na\n")]
    [InlineData("1\r\na\rx")]
    [InlineData("0\r\nA: b\n")]
    [InlineData("0\r\n\rx")]
    [InlineData("0\r\n\n")]
    public void What_is_no_chunked_body_is_refused_however_it_comes(string framed)
    {
        Assert.Null(Decode([framed]));
        for (var split = 1; split < framed.Length; split++) Assert.Null(Decode([framed[..split], framed[split..]]));
    }

    [Fact]
    public void Extensions_and_trailers_have_a_limit()
    {
        var long_ = new string('a', ChunkedDecoder.MaxOverhead);

        Assert.Null(Decode(["1;" + long_ + "\r\n"]));
        Assert.Null(Decode(["0\r\n" + string.Concat(Enumerable.Repeat("A: b\r\n", ChunkedDecoder.MaxOverhead / 4))]));
        // Each chunk may have its own.
        Assert.Equal("aa", Decode([$"1;{long_[..8000]}\r\na\r\n1;{long_[..8000]}\r\na\r\n0\r\n\r\n"])!.Value.Body);
    }

    [Fact]
    public void Whatever_is_framed_comes_back() =>
        Gen.Select(Gen.Byte.Array[0, 100].Array[0, 10], Gen.Int[1, 50]).Sample((chunks, step) =>
        {
            var framed = new StringBuilder();
            foreach (var chunk in chunks.Where(c => c.Length > 0))
                framed.Append($"{chunk.Length:x}\r\n{Encoding.Latin1.GetString(chunk)}\r\n");
            framed.Append("0\r\n\r\n");
            var pieces = framed.ToString().Chunk(step).Select(c => new string(c));
            return Decode([.. pieces])?.Body == string.Concat(chunks.Select(Encoding.Latin1.GetString));
        });

    // The body and the length of its framing, or null if it is refused.
    private static (string Body, int Length)? Decode(string[] pieces)
    {
        var decoder = new ChunkedDecoder();
        var body = new StringBuilder();
        var length = 0;
        foreach (var piece in pieces)
        {
            ReadOnlySpan<byte> input = Encoding.Latin1.GetBytes(piece);
            while (!input.IsEmpty && !decoder.IsDone)
            {
                if (!decoder.TryRead(input, out var consumed, out var data)) return null;
                Assert.InRange(consumed, 1, input.Length);
                body.Append(Encoding.Latin1.GetString(input.Slice(consumed - data, data)));
                input = input[consumed..];
                length += consumed;
            }
        }
        Assert.True(decoder.IsDone);
        return (body.ToString(), length);
    }
}
