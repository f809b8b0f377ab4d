using System.IO.Pipelines;
using System.Text;
using Millau.Ingress;

namespace Millau.Tests.Ingress;

/// <summary>The stream below SslStream: one record a read, and nothing leaves before it must.</summary>
public class RecordStreamTests : IDuplexPipe
{
    private const string First = "\x16\x03\x01\x00\x03one", Second = "\x17\x03\x03\x00\x06second";

    private readonly Pipe _in = new();
    private readonly Pipe _out = new();
    private readonly RecordStream _stream;
    private readonly byte[] _buffer = new byte[1000];

    public RecordStreamTests() => _stream = new RecordStream(this);

    public PipeReader Input => _in.Reader;

    public PipeWriter Output => _out.Writer;

    [Fact]
    public async Task A_read_gives_one_record_though_more_is_there()
    {
        await GiveAsync(First + Second);
        Assert.Equal(First, await ReadAsync());
        Assert.True(_stream.IsReady);
        Assert.Equal(Second, await ReadAsync());
        Assert.False(_stream.IsReady);
    }

    [Fact]
    public async Task A_record_is_given_when_it_is_whole()
    {
        for (var split = 1; split < First.Length; split++)
        {
            await GiveAsync(First[..split]);
            Assert.False(TryLook());
            var reading = ReadAsync();
            Assert.False(reading.IsCompleted);
            await GiveAsync(First[split..] + Second[..^1]);
            Assert.Equal(First, await reading.WaitAsync(TlsPair.Deadline));
            Assert.False(TryLook());
            await GiveAsync(Second[^1..]);
            Assert.True(TryLook());
            Assert.Equal(Second, await ReadAsync());
        }
    }

    [Fact]
    public async Task An_empty_buffer_asks_whether_there_is_something_and_a_small_one_gets_the_rest_later()
    {
        var asking = _stream.ReadAsync(Memory<byte>.Empty).AsTask();
        Assert.False(asking.IsCompleted);
        await GiveAsync(First + Second);
        Assert.Equal(0, await asking.WaitAsync(TlsPair.Deadline));
        var got = new StringBuilder();
        while (got.Length < First.Length + Second.Length) got.Append(await ReadAsync(size: 3));
        Assert.Equal(First + Second, got.ToString());
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("\x16\x03\x01\xff\xff too long")]
    [InlineData("\x80\x2e\x01\x03\x01 of SSL 2")]
    public async Task What_is_no_record_is_given_as_it_is(string bytes)
    {
        await GiveAsync(bytes);
        Assert.Equal(bytes, await ReadAsync());
    }

    [Fact]
    public async Task At_the_end_the_rest_is_given_and_then_nothing()
    {
        await GiveAsync(First + Second[..4]);
        await _in.Writer.CompleteAsync();
        Assert.Equal(First, await ReadAsync());
        Assert.Equal(Second[..4], await ReadAsync());
        for (var i = 0; i < 2; i++) Assert.Equal("", await ReadAsync());
        Assert.True(_stream.IsReady);
    }

    [Fact]
    public async Task A_cancelled_read_fails_and_nothing_is_lost()
    {
        await GiveAsync(First[..4]);
        var reading = ReadAsync();
        Input.CancelPendingRead();
        await Assert.ThrowsAsync<OperationCanceledException>(() => reading.WaitAsync(TlsPair.Deadline));
        await GiveAsync(First[4..]);
        Assert.Equal(First, await ReadAsync());
    }

    [Fact]
    public async Task What_is_written_leaves_with_a_flush_when_the_client_is_waited_for()
    {
        await _stream.WriteAsync("hello"u8.ToArray());
        await _stream.FlushAsync(CancellationToken.None);
        Assert.False(_out.Reader.TryRead(out _));
        var reading = ReadAsync();
        Assert.True(_out.Reader.TryRead(out var sent));
        Assert.Equal(5, sent.Buffer.Length);
        await GiveAsync(First);
        await reading.WaitAsync(TlsPair.Deadline);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\x17\x03\x03\x00\x06seco")]
    [InlineData(Second)]
    public async Task The_end_of_a_handshake_waits_for_the_answer_to_what_the_client_has_said(string said)
    {
        if (said.Length > 0) await GiveAsync(said);
        await _stream.WriteAsync("tickets"u8.ToArray());
        await _stream.FlushAsync(CancellationToken.None);
        await _stream.EndHandshakeAsync(CancellationToken.None);
        Assert.Equal(said != Second, _out.Reader.TryRead(out _));
    }

    [Fact]
    public async Task A_client_that_has_gone_fails_the_handshake()
    {
        await _out.Reader.CompleteAsync();
        await _stream.WriteAsync("hello"u8.ToArray());
        await _stream.FlushAsync(CancellationToken.None);
        await Assert.ThrowsAsync<IOException>(ReadAsync);
    }

    [Fact]
    public async Task Behind_the_handshake_a_read_stays_open_until_a_record_is_there_for_it()
    {
        await _stream.EndHandshakeAsync(CancellationToken.None);
        for (var i = 0; i < 2; i++)
        {
            var reading = ReadAsync();
            Assert.True(_stream.IsAsked);
            await GiveAsync(First[..4]);
            Assert.False(TryLook());
            Input.CancelPendingRead();
            Assert.False(TryLook());
            await GiveAsync(First[4..] + Second);
            Assert.True(TryLook());
            Assert.False(reading.IsCompleted);
            _stream.Answer();
            Assert.False(_stream.IsAsked);
            Assert.Equal(First, await reading.WaitAsync(TlsPair.Deadline));
            Assert.Equal(Second, await ReadAsync());
        }
    }

    [Theory]
    [InlineData(Second)]
    [InlineData(Second + First)]
    public async Task What_was_not_read_is_left_to_the_pipe(string more)
    {
        await GiveAsync(First + more);
        Assert.Equal(First, await ReadAsync());
        await _stream.DisposeAsync();
        Assert.Equal(more.Length, (await Input.ReadAsync()).Buffer.Length);
    }

    private bool TryLook() => _stream.IsReady || (Input.TryRead(out var read) && _stream.Look(read));

    private async Task GiveAsync(string latin1) => await _in.Writer.WriteAsync(Encoding.Latin1.GetBytes(latin1));

    private Task<string> ReadAsync() => ReadAsync(_buffer.Length);

    private async Task<string> ReadAsync(int size)
    {
        var count = await _stream.ReadAsync(_buffer.AsMemory(0, size));
        return Encoding.Latin1.GetString(_buffer, 0, count);
    }
}
