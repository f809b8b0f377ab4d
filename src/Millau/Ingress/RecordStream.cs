using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;
using Millau.Async;

namespace Millau.Ingress;

/// <summary>
/// A connection's two pipes as the stream that <see cref="System.Net.Security.SslStream"/> wants. Owns neither.
/// <list type="bullet">
/// <item>A read gives one record (RFC 8446 section 5.1), when all of it is there. So SslStream holds nothing between its own reads: what
/// is still to come is in the pipe, where one can wait for it, and what it is asked for then it has at once.</item>
/// <item>A read that finds no record waits for the pipe in the handshake alone. Later it stays open (<see cref="IsAsked"/>), and whoever
/// waits for the pipe has it answered: SslStream asks again when a message was none of the application's.</item>
/// <item>What is written stays in the pipe until it is flushed: many records go out in one call. A flush of the handshake waits
/// until the client is waited for: what ends a handshake of TLS 1.3 goes out with the first answer.</item>
/// </list>
/// </summary>
/// <remarks>Concurrency: one reader and one writer at a time; the handshake is both.</remarks>
internal sealed class RecordStream(IDuplexPipe pipes) : AsyncStream, IValueTaskSource<int>
{
    private const int HeaderSize = 5;

    // What TLS 1.2 allows (RFC 5246 section 6.2.3).
    private const int MostContent = 16 * 1024 + 2048;

    // What was read from the pipe and is not given back to it, from the record on of which so much is left; nothing when that is 0.
    private ReadOnlySequence<byte> _held;
    private int _left;
    private bool _ended;
    private bool _isHandshakeOver;
    private bool _mustFlush;
    private ManualResetValueTaskSourceCore<int> _asked;
    private Memory<byte> _askedFor;

    /// <summary>A read is answered at once: with a record, or the end.</summary>
    public bool IsReady => _left > 0 || _ended;

    /// <summary>A read is open, for <see cref="Answer"/>.</summary>
    public bool IsAsked { get; private set; }

    /// <summary>Takes over what was read from the pipe if a record is there, or the end; else the pipe has it again.</summary>
    public bool Look(in ReadResult read)
    {
        Hold(read.Buffer, read.IsCompleted);
        return IsReady;
    }

    /// <summary>The open read gets what is there. SslStream goes on in this call, and may ask again.</summary>
    public void Answer()
    {
        var buffer = _askedFor;
        _askedFor = default;
        IsAsked = false;
        _asked.SetResult(Take(buffer.Span));
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        IsReady ? new(Take(buffer.Span)) : _isHandshakeOver ? Ask(buffer) : WaitAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        pipes.Output.Write(buffer.Span);
        return default;
    }

    /// <summary>SslStream calls it in the handshake alone.</summary>
    public override Task FlushAsync(CancellationToken cancellationToken)
    {
        _mustFlush = true;
        return Task.CompletedTask;
    }

    /// <summary>The handshake is over: what it wrote last is sent, unless the client has said more and the answer takes it along.</summary>
    public ValueTask EndHandshakeAsync(CancellationToken cancellation)
    {
        _isHandshakeOver = true;
        if (!IsReady && !(pipes.Input.TryRead(out var read) && Look(read))) return SendAsync(cancellation);
        _mustFlush = false;
        return default;
    }

    int IValueTaskSource<int>.GetResult(short token) => _asked.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _asked.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _asked.OnCompleted(continuation, state, token, flags);

    /// <summary>Gives the pipe back what was not read.</summary>
    protected override void Dispose(bool disposing)
    {
        if (_left == 0) return;
        pipes.Input.AdvanceTo(_held.Start);
        _held = default;
        _left = 0;
        _ended = true;
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private async ValueTask<int> WaitAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        await SendAsync(cancellation).ConfigureAwait(false);
        while (true)
        {
            var read = await pipes.Input.ReadAsync(cancellation).ConfigureAwait(false);
            if (Look(read)) return Take(buffer.Span);
            if (read.IsCanceled) throw new OperationCanceledException("The read was cancelled.");
        }
    }

    private ValueTask<int> Ask(Memory<byte> buffer)
    {
        _asked.Reset();
        _askedFor = buffer;
        IsAsked = true;
        return new ValueTask<int>(this, _asked.Version);
    }

    private async ValueTask SendAsync(CancellationToken cancellation)
    {
        if (!_mustFlush) return;
        _mustFlush = false;
        var flush = await pipes.Output.FlushAsync(cancellation).ConfigureAwait(false);
        if (flush.IsCompleted) throw new IOException("the connection failed");
    }

    // An empty buffer asks only whether there is something.
    private int Take(Span<byte> buffer)
    {
        var count = Math.Min(_left, buffer.Length);
        if (count == 0) return 0;
        var end = _held.GetPosition(count);
        _held.Slice(0, end).CopyTo(buffer);
        var rest = _held.Slice(end);
        _left -= count;
        if (_left > 0) _held = rest;
        else Hold(rest, isEnd: false);
        return count;
    }

    // What begins with a whole record; what does not the pipe has again, to give it together with what still comes.
    private void Hold(in ReadOnlySequence<byte> bytes, bool isEnd)
    {
        _left = LengthOfFirst(bytes);
        if (_left == 0 && isEnd)
        {
            _left = (int)bytes.Length;
            _ended = true;
        }
        _held = _left > 0 ? bytes : default;
        if (_left == 0) pipes.Input.AdvanceTo(bytes.Start, bytes.End);
    }

    // With its header; 0 when it is not whole. What is no record is SslStream's to refuse.
    private static int LengthOfFirst(in ReadOnlySequence<byte> bytes)
    {
        if (bytes.Length < HeaderSize) return 0;
        var first = bytes.FirstSpan;
        return LengthOfFirst(first.Length >= HeaderSize ? first : bytes.Slice(0, HeaderSize).ToArray(), bytes.Length);
    }

    private static int LengthOfFirst(ReadOnlySpan<byte> header, long there)
    {
        var content = BinaryPrimitives.ReadUInt16BigEndian(header[3..]);
        // Change of cipher, alert, handshake, application data.
        var isRecord = header[0] is >= 20 and <= 23 && header[1] == 3 && content <= MostContent;
        if (!isRecord) return (int)Math.Min(there, MostContent);
        return HeaderSize + content <= there ? HeaderSize + content : 0;
    }
}
