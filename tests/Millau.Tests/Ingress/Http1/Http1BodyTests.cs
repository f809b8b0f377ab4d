using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Millau.Http1;
using Millau.Ingress;
using Millau.Ingress.Http1;
using Millau.Tests.Http1;

namespace Millau.Tests.Ingress.Http1;

/// <summary>Bodies of requests as they are read, wherever a client's packets end.</summary>
public sealed class Http1BodyTests : IDisposable
{
    private const string Next = "GET /next HTTP/1.1\r\n";

    private readonly ServerClock _clock = new(new FakeTimeProvider(), _ => { });

    [Theory]
    [MemberData(nameof(ChunkedDecoderTests.Bodies), MemberType = typeof(ChunkedDecoderTests))]
    public async Task A_chunked_body_is_the_same_in_one_piece_in_any_two_and_byte_by_byte(string framed, string body)
    {
        foreach (var pieces in Pieces(framed + Next)) Assert.Equal((body, Next), await ReadAsync(new(-1, true), pieces));
    }

    [Fact]
    public async Task A_body_of_known_length_ends_where_it_says()
    {
        foreach (var pieces in Pieces("hello" + Next)) Assert.Equal(("hello", Next), await ReadAsync(new(5, false), pieces));
    }

    [Theory]
    [InlineData("+5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("0x5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("5\nhello\r\n0\r\n\r\n")]
    [InlineData("5;a\nhello\r\n0\r\n\r\n")]
    [InlineData("1\r\nab\r\n0\r\n\r\n")]
    [InlineData("1\r\na\n0\r\n\r\n")]
    [InlineData("0\r\nA: b\n\r\n")]
    [InlineData("0\r\nno colon\r\n\r\n")]
    [InlineData("ffffffffffffffff\r\na")]
    [InlineData("5\r\nhel")]
    public async Task What_is_none_is_refused_however_it_comes(string framed)
    {
        foreach (var pieces in Pieces(framed))
            Assert.Equal(400, (await Assert.ThrowsAsync<BadHttpRequestException>(() => ReadAsync(new(-1, true), pieces))).StatusCode);
    }

    [Fact]
    public async Task A_body_that_ends_before_its_length_is_refused() =>
        Assert.Equal(400, (await Assert.ThrowsAsync<BadHttpRequestException>(() => ReadAsync(new(6, false), ["hello"]))).StatusCode);

    [Fact]
    public async Task Trailers_that_may_pass_are_there_at_the_end()
    {
        var (connection, pipe) = Connect();
        var body = new Http1Body(connection, pipe.Reader);
        body.Begin(new RequestFraming(-1, true), expectsContinue: false);
        await pipe.Writer.WriteAsync("1\r\na\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);

        Assert.False(body.IsAtEnd);
        var read = await body.ReadAsync(TestContext.Current.CancellationToken);
        Assert.True(read.IsCompleted);
        Assert.False(body.IsAtEnd);
        body.AdvanceTo(read.Buffer.End);
        Assert.True(body.IsAtEnd);
        Assert.Equal([("X-Sum", "1")], body.Trailers!);
    }

    [Fact]
    public async Task A_wait_for_more_can_be_cancelled_and_goes_on_later()
    {
        var (connection, pipe) = Connect();
        var body = new Http1Body(connection, pipe.Reader);
        body.Begin(new RequestFraming(4, false), expectsContinue: false);

        var waiting = body.ReadAsync(TestContext.Current.CancellationToken).AsTask();
        body.CancelPendingRead();
        var cancelled = await waiting;
        Assert.True(cancelled is { IsCanceled: true, IsCompleted: false } && cancelled.Buffer.IsEmpty);
        body.AdvanceTo(cancelled.Buffer.End);
        await pipe.Writer.WriteAsync("body"u8.ToArray(), TestContext.Current.CancellationToken);
        var read = await body.ReadAsync(TestContext.Current.CancellationToken);
        Assert.Equal((4, true), (read.Buffer.Length, read.IsCompleted));
    }

    public void Dispose() => _clock.Dispose();

    private static IEnumerable<string[]> Pieces(string input)
    {
        yield return [input];
        for (var split = 1; split < input.Length; split++) yield return [input[..split], input[split..]];
        yield return [.. input.Select(c => c.ToString())];
    }

    // The body, and what is left for the next request.
    private async Task<(string Body, string Left)> ReadAsync(RequestFraming framing, string[] pieces)
    {
        var (connection, pipe) = Connect();
        var body = new Http1Body(connection, pipe.Reader);
        body.Begin(framing, expectsContinue: false);
        var writing = Task.Run(async () =>
        {
            foreach (var piece in pieces) await pipe.Writer.WriteAsync(Encoding.Latin1.GetBytes(piece));
            await pipe.Writer.CompleteAsync();
        });
        var text = new StringBuilder();
        try
        {
            while (true)
            {
                var read = await body.ReadAsync();
                text.Append(Encoding.Latin1.GetString(read.Buffer.ToArray()));
                body.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) break;
            }
        }
        finally
        {
            await writing;
            body.Release();
        }
        Assert.True(body.IsAtEnd);
        var rest = await pipe.Reader.ReadAsync();
        while (!rest.IsCompleted)
        {
            pipe.Reader.AdvanceTo(rest.Buffer.Start, rest.Buffer.End);
            rest = await pipe.Reader.ReadAsync();
        }
        return (text.ToString(), Encoding.Latin1.GetString(rest.Buffer.ToArray()));
    }

    private (Http1Connection Connection, Pipe Input) Connect()
    {
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        var context = new DefaultConnectionContext("test", new Duplex(pipe.Reader, new Pipe().Writer), null!);
        return (new Http1Connection(context, new HttpService(null!, new ClientLimits(), _clock, NullLogger.Instance)), pipe);
    }

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
