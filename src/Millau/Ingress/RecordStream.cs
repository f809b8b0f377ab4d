using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Millau.Async;

namespace Millau.Ingress;

/// <summary>
/// A connection's two pipes as the stream that <see cref="System.Net.Security.SslStream"/> wants. Owns neither.
/// <list type="bullet">
/// <item>A read gives one record (RFC 8446 section 5.1), when all of it is there. So SslStream holds nothing between its own reads: what
/// is still to come is in the pipe, where one can wait for it, and what it is asked for then it has at once.</item>
/// <item>What is written stays in the pipe until it is flushed: many records go out in one call. A flush of the handshake waits
/// until the client is waited for: what ends a handshake of TLS 1.3 goes out with the first answer.</item>
/// </list>
/// </summary>
/// <remarks>Concurrency: one reader and one writer at a time; the handshake is both.</remarks>
internal sealed class RecordStream(IDuplexPipe pipes) : AsyncStream
{
    private const int HeaderSize = 5;

    // What TLS 1.2 allows (RFC 5246 section 6.2.3).
    private const int MostContent = 16 * 1024 + 2048;

    private int _left;
    private bool _ended;
    private bool _isInterrupted;
    private bool _mustFlush;

    /// <summary>A read is answered at once: with a record, or the end.</summary>
    public bool IsReady => _left > 0 || _ended;

    /// <summary>Takes in what was read from the pipe, and leaves it there. What is no record is SslStream's to refuse.</summary>
    public bool Look(ReadResult read)
    {
        var buffer = read.Buffer;
        var length = LengthOf(buffer);
        if (length <= buffer.Length)
        {
            _left = length;
        }
        else if (read.IsCompleted)
        {
            _left = (int)buffer.Length;
            _ended = true;
        }
        pipes.Input.AdvanceTo(buffer.Start, IsReady ? buffer.Start : buffer.End);
        return IsReady;
    }

    /// <summary>The same with what is there at the moment.</summary>
    public bool TryLook() => IsReady || (pipes.Input.TryRead(out var read) && Look(read));

    /// <summary>Whether a read failed because it was cancelled while it waited in SslStream; says so once.</summary>
    public bool TakeInterrupted()
    {
        var was = _isInterrupted;
        _isInterrupted = false;
        return was;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        IsReady ? new(Take(buffer.Span)) : WaitAsync(buffer, cancellationToken);

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

    /// <summary>The handshake is over: what it wrote last is sent, unless the client has said more, and the answer takes it along.</summary>
    public ValueTask EndHandshakeAsync(CancellationToken cancellation)
    {
        if (!TryLook()) return SendAsync(cancellation);
        _mustFlush = false;
        return default;
    }

    // In the handshake, and behind messages that are none of the application's.
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private async ValueTask<int> WaitAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        _isInterrupted = false;
        await SendAsync(cancellation).ConfigureAwait(false);
        while (true)
        {
            var read = await pipes.Input.ReadAsync(cancellation).ConfigureAwait(false);
            if (Look(read)) return Take(buffer.Span);
            if (!read.IsCanceled) continue;
            _isInterrupted = true;
            throw new OperationCanceledException("The read was cancelled.");
        }
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
        if (count == 0 || !pipes.Input.TryRead(out var read)) return 0;
        var bytes = read.Buffer.Slice(0, count);
        bytes.CopyTo(buffer);
        pipes.Input.AdvanceTo(bytes.End);
        _left -= count;
        return count;
    }

    // Of the first record, with its header; more than anything while that is unknown.
    private static int LengthOf(ReadOnlySequence<byte> buffer)
    {
        if (buffer.Length < HeaderSize) return int.MaxValue;
        Span<byte> header = stackalloc byte[HeaderSize];
        if (buffer.FirstSpan.Length >= HeaderSize) buffer.FirstSpan[..HeaderSize].CopyTo(header);
        else buffer.Slice(0, HeaderSize).CopyTo(header);
        var content = BinaryPrimitives.ReadUInt16BigEndian(header[3..]);
        // Change of cipher, alert, handshake, application data.
        var isRecord = header[0] is >= 20 and <= 23 && header[1] == 3 && content <= MostContent;
        return isRecord ? HeaderSize + content : (int)Math.Min(buffer.Length, MostContent);
    }
}
