using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Http;
using Millau.Forwarding;
using Millau.Tests.Http1;

namespace Millau.Tests.Forwarding;

/// <summary>The strict reader beside Kestrel's, wherever a client's packets end.</summary>
public class ClientInputTests
{
    private const string Next = "GET /next HTTP/1.1\r\n";

    [Theory]
    [MemberData(nameof(ChunkedDecoderTests.Bodies), MemberType = typeof(ChunkedDecoderTests))]
    public async Task A_chunked_body_passes_in_one_piece_in_any_two_and_byte_by_byte(string framed, string body)
    {
        Assert.NotNull(body);
        // What follows the body is not looked at, though it is no chunk.
        var input = framed + Next;
        foreach (var pieces in Pieces(input)) Assert.Equal(input, await ReadAsync(pieces));
    }

    [Theory]
    [InlineData("+5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("0x5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("5\nhello\r\n0\r\n\r\n")]
    [InlineData("5;a\nhello\r\n0\r\n\r\n")]
    [InlineData("1\r\nab\r\n0\r\n\r\n")]
    [InlineData("1\r\na\n0\r\n\r\n")]
    [InlineData("0\r\nA: b\n\r\n")]
    [InlineData("ffffffffffffffff\r\na")]
    public async Task What_is_none_is_refused_however_it_comes(string framed)
    {
        foreach (var pieces in Pieces(framed))
            Assert.Equal(400, (await Assert.ThrowsAsync<BadHttpRequestException>(() => ReadAsync(pieces))).StatusCode);
    }

    [Fact]
    public async Task Anything_else_passes_untouched() =>
        Assert.Equal("5\nhello", await ReadAsync(["5\nhel", "lo"], isChunked: false));

    private static IEnumerable<string[]> Pieces(string input)
    {
        yield return [input];
        for (var split = 1; split < input.Length; split++) yield return [input[..split], input[split..]];
        yield return [.. input.Select(c => c.ToString())];
    }

    // What is consumed of each read is all that there is, as of a body.
    private static async Task<string> ReadAsync(string[] pieces, bool isChunked = true)
    {
        var pipe = new Pipe();
        var input = new ClientInput(pipe.Reader);
        if (isChunked) input.BeginChunked();
        var seen = new StringBuilder();
        foreach (var piece in pieces)
        {
            await pipe.Writer.WriteAsync(Encoding.Latin1.GetBytes(piece), TestContext.Current.CancellationToken);
            var read = await input.ReadAsync(TestContext.Current.CancellationToken);
            seen.Append(Encoding.Latin1.GetString(System.Buffers.BuffersExtensions.ToArray(read.Buffer)));
            input.AdvanceTo(read.Buffer.End);
        }
        return seen.ToString();
    }
}
