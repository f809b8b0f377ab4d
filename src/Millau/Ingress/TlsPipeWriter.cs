using System.Buffers;
using System.IO.Pipelines;
using System.Net.Security;
using System.Runtime.InteropServices;

namespace Millau.Ingress;

/// <summary>
/// What a client is told in TLS. What is written is gathered in one block, and encrypted from there into the connection's own pipe: an
/// answer is one record where it fits into one, and all records of a flush go out in one call to the kernel.
/// </summary>
/// <param name="tls">Writes to <paramref name="carrier"/>, and does not wait for it.</param>
/// <param name="carrier">The connection's own; a flush is a flush of it.</param>
/// <param name="pool">For the block, which goes back with each flush.</param>
/// <remarks>
/// Concurrency: one writer, which does not write while a flush is under way; <see cref="CancelPendingFlush"/> from anywhere.
/// </remarks>
internal sealed class TlsPipeWriter(SslStream tls, PipeWriter carrier, MemoryPool<byte> pool) : PipeWriter
{
    private IMemoryOwner<byte>? _block;
    private ArraySegment<byte> _room;
    private int _end;
    private Task? _failure;
    private bool _completed;

    public override bool CanGetUnflushedBytes => true;

    /// <summary>Records that were not sent count with what they have grown by.</summary>
    public override long UnflushedBytes => _end + carrier.UnflushedBytes;

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (_room.Count - _end < Math.Max(sizeHint, 1)) MakeRoom(sizeHint);
        return _room.AsMemory(_end);
    }

    // An answer is written in many small pieces: this is not the way round by Memory.
    public override Span<byte> GetSpan(int sizeHint = 0)
    {
        if (_room.Count - _end < Math.Max(sizeHint, 1)) MakeRoom(sizeHint);
        return _room.AsSpan(_end);
    }

    public override void Advance(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)bytes, (uint)(_room.Count - _end));
        _end += bytes;
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        Encrypt();
        GiveBack();
        return _failure is null ? carrier.FlushAsync(cancellationToken) : FailAsync(_failure);
    }

    public override void CancelPendingFlush() => carrier.CancelPendingFlush();

    /// <summary>What was written and not flushed is left to the carrier, which is not completed; with a reason it is dropped.</summary>
    public override void Complete(Exception? exception = null)
    {
        if (_completed) return;
        _completed = true;
        if (exception is null) Encrypt();
        GiveBack();
    }

    private static async ValueTask<FlushResult> FailAsync(Task failure)
    {
        await failure.ConfigureAwait(false);
        throw new IOException("SslStream kept its client waiting.");
    }

    private void MakeRoom(int sizeHint)
    {
        ObjectDisposedException.ThrowIf(_completed, this);
        Encrypt();
        if (sizeHint <= _room.Count && _block is not null) return;
        GiveBack();
        if (sizeHint > pool.MaxBufferSize)
        {
            // Rare: more than a block in one piece.
            _room = new byte[sizeHint];
            return;
        }
        _block = pool.Rent();
        if (!MemoryMarshal.TryGetArray(_block.Memory, out _room)) throw new NotSupportedException("The pool's blocks are no arrays.");
    }

    // The stream below never waits, so this is done at once, or has failed for good.
    private void Encrypt()
    {
        if (_end == 0) return;
        var writing = tls.WriteAsync(_room.AsMemory(0, _end));
        _end = 0;
        if (!writing.IsCompletedSuccessfully) _failure ??= writing.AsTask();
    }

    private void GiveBack()
    {
        _block?.Dispose();
        _block = null;
        _room = default;
    }
}
