using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;

namespace Millau.Transport;

/// <summary>
/// What a client is sent, straight from the buffers it was written to: a flush is one call to the kernel, and is over when
/// the kernel has all of it. A client that does not read makes the flush wait.
/// </summary>
/// <remarks>
/// Concurrency: one writer, which does not write while a flush is under way; <see cref="CancelPendingFlush"/> from
/// anywhere.
/// </remarks>
internal sealed class LoopPipeWriter(LoopSocket socket, MemoryPool<byte> pool) : PipeWriter, IValueTaskSource<FlushResult>
{
    private const int MostVectors = 32;

    private readonly Action<object?> _cancelled = static state => ((LoopPipeWriter)state!).OnTokenCancelled();
    private readonly List<Written> _blocks = [];
    private ManualResetValueTaskSourceCore<FlushResult> _source;

    // The last block, from its start, and how much of it is used; none when all are closed.
    private ArraySegment<byte> _current;
    private int _end;
    private int _firstUnsent;
    private int _unsentStart;
    private long _unflushed;
    private bool _failed;
    private bool _completed;
    private volatile bool _isFlushing;
    private int _cancelNext;
    private int _tokenCancelled;
    private CancellationToken _token;
    private CancellationTokenRegistration _registration;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _unflushed;

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        MakeRoom(sizeHint);
        return _current.AsMemory(_end);
    }

    // An answer is written in many small pieces: this is not the way round by Memory.
    public override Span<byte> GetSpan(int sizeHint = 0)
    {
        MakeRoom(sizeHint);
        return _current.AsSpan(_end);
    }

    public override void Advance(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)bytes, (uint)(_current.Count - _end));
        _end += bytes;
        _unflushed += bytes;
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        // A cancel that comes a moment later meets the flush when it is armed.
        if (Volatile.Read(ref _cancelNext) != 0 && Interlocked.Exchange(ref _cancelNext, 0) != 0)
            return new(new FlushResult(isCanceled: true, _failed));
        if (_unflushed == 0 && _firstUnsent == 0 && _unsentStart == 0 && _blocks.Count == 0)
            return new(new FlushResult(isCanceled: false, _failed));
        CloseBlock();
        while (!SendAll())
        {
            _source.Reset();
            var pending = new ValueTask<FlushResult>(this, _source.Version);
            Watch(cancellationToken);
            _isFlushing = true;
            if (!socket.TryArmWrite()) continue;
            // From here on another thread may complete it at any time, and the next flush may be under way there.
            if (Volatile.Read(ref _cancelNext) != 0) CancelArmed();
            else if (Volatile.Read(ref _tokenCancelled) != 0) OnTokenCancelled();
            return pending;
        }
        _isFlushing = false;
        return new(new FlushResult(isCanceled: false, _failed));
    }

    public override void CancelPendingFlush()
    {
        Volatile.Write(ref _cancelNext, 1);
        Interlocked.MemoryBarrier();
        CancelArmed();
    }

    /// <summary>Sends what was written and not flushed, as far as the kernel takes it at once, and gives all blocks back.</summary>
    public override void Complete(Exception? exception = null)
    {
        if (_completed) return;
        _completed = true;
        // The blocks are those of the flush, which ends with the connection at the latest.
        if (_isFlushing) return;
        CloseBlock();
        if (exception is not null || _unflushed == 0 || !SendAll()) GiveBack();
    }

    /// <summary>The loop says that there is room, or a failure. On the loop's thread, or that of who closed the socket.</summary>
    public void OnWritable()
    {
        while (!SendAll())
            if (socket.TryArmWrite()) return;
        _registration.Dispose();
        _isFlushing = false;
        _source.SetResult(new FlushResult(isCanceled: false, _failed));
    }

    FlushResult IValueTaskSource<FlushResult>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<FlushResult>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<FlushResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private void MakeRoom(int sizeHint)
    {
        if (_current.Count - _end < Math.Max(sizeHint, 1)) AddBlock(sizeHint);
    }

    private void AddBlock(int sizeHint)
    {
        CloseBlock();
        var owner = sizeHint <= pool.MaxBufferSize ? pool.Rent() : new LargeBlock(sizeHint);
        if (!MemoryMarshal.TryGetArray(owner.Memory, out _current)) throw new NotSupportedException("The pool's blocks are no arrays.");
        _blocks.Add(new Written(owner, _current, 0));
    }

    private void CloseBlock()
    {
        if (_current.Count == 0) return;
        CollectionsMarshal.AsSpan(_blocks)[^1].Length = _end;
        _current = default;
        _end = 0;
    }

    // True when all is sent, or nothing ever will be; the blocks are given back then.
    private bool SendAll()
    {
        while (_firstUnsent < _blocks.Count)
        {
            var sent = _blocks.Count - _firstUnsent == 1 ? SendOne() : SendSeveral();
            if (sent == LoopSocket.WouldBlock) return false;
            if (sent < 0)
            {
                _failed = true;
                break;
            }
            Sent(sent);
        }
        GiveBack();
        return true;
    }

    private void GiveBack()
    {
        foreach (var block in _blocks) block.Owner.Dispose();
        _blocks.Clear();
        _firstUnsent = _unsentStart = 0;
        _unflushed = 0;
    }

    private int SendOne()
    {
        ref var block = ref CollectionsMarshal.AsSpan(_blocks)[_firstUnsent];
        return block.Length == _unsentStart ? 0 : socket.Send(block.Bytes[_unsentStart..block.Length]);
    }

    private unsafe int SendSeveral()
    {
        var count = Math.Min(_blocks.Count - _firstUnsent, MostVectors);
        var vectors = stackalloc Native.Vector[count];
        var used = 0;
        // The pool's blocks are pinned for good; a large one is pinned until the call returns.
        for (var i = 0; i < count; i++)
        {
            var block = _blocks[_firstUnsent + i];
            var start = i == 0 ? _unsentStart : 0;
            if (block.Length == start) continue;
            fixed (byte* bytes = block.Bytes.AsSpan())
                vectors[used++] = new Native.Vector { Start = bytes + start, Length = (nuint)(block.Length - start) };
        }
        return used == 0 ? 0 : socket.Send(vectors, used);
    }

    private void Sent(int bytes)
    {
        while (_firstUnsent < _blocks.Count)
        {
            var left = _blocks[_firstUnsent].Length - _unsentStart;
            if (bytes < left)
            {
                _unsentStart += bytes;
                return;
            }
            bytes -= left;
            _firstUnsent++;
            _unsentStart = 0;
            if (bytes == 0) return;
        }
    }

    private void CancelArmed()
    {
        if (!socket.TryDisarmWrite()) return;
        Volatile.Write(ref _cancelNext, 0);
        _registration.Dispose();
        _isFlushing = false;
        _source.SetResult(new FlushResult(isCanceled: true, _failed));
    }

    // Before the arming, so that nothing is left to be done after it.
    private void Watch(CancellationToken cancellation)
    {
        _registration.Dispose();
        _registration = default;
        Volatile.Write(ref _tokenCancelled, 0);
        if (!cancellation.CanBeCanceled) return;
        _token = cancellation;
        _registration = cancellation.UnsafeRegister(_cancelled, this);
    }

    private void OnTokenCancelled()
    {
        Volatile.Write(ref _tokenCancelled, 1);
        Interlocked.MemoryBarrier();
        if (!socket.TryDisarmWrite()) return;
        _isFlushing = false;
        _source.SetException(new OperationCanceledException(_token));
    }

    private record struct Written(IMemoryOwner<byte> Owner, ArraySegment<byte> Bytes, int Length);

    // More than a block of the pool in one piece; rare, and pinned like those.
    private sealed class LargeBlock(int size) : IMemoryOwner<byte>
    {
        public Memory<byte> Memory { get; } = GC.AllocateUninitializedArray<byte>(size, pinned: true);

        public void Dispose()
        {
        }
    }
}
