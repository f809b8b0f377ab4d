using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Connections;

namespace Millau.Transport;

/// <summary>
/// What a client sends, received when it is asked for: no thread between, no reading ahead, and no buffer while nothing is
/// there. A client that sends more than is read is slowed by its own connection.
/// </summary>
/// <remarks>
/// Concurrency: one reader, as for every <see cref="PipeReader"/>; <see cref="CancelPendingRead"/> from anywhere.
/// </remarks>
internal sealed class LoopPipeReader(LoopSocket socket, MemoryPool<byte> pool) : PipeReader, IValueTaskSource<ReadResult>
{
    // Less room than this at the end of a block is not worth a call.
    private const int LeastRoom = 4 * 1024;

    private readonly Action<object?> _cancelled = static state => ((LoopPipeReader)state!).OnTokenCancelled();
    private ManualResetValueTaskSourceCore<ReadResult> _source;
    private ReceivedBytes _received = new(pool);
    private bool _ended;
    private bool _completed;
    private bool _onlyWaits;
    private Exception? _failure;
    private int _cancelNext;
    private int _tokenCancelled;
    private CancellationToken _token;
    private CancellationTokenRegistration _registration;

    /// <summary>What failed reads say once the connection was aborted from this side; null for a failure of the peer's.</summary>
    public Exception? AbortReason { get; set; }

    public override bool TryRead(out ReadResult result)
    {
        if (TakeCancel())
        {
            result = Result(cancelled: true);
            return true;
        }
        if (_received.AllExamined && !_ended && _failure is null && socket.MayReceive) Receive();
        if (IsAnswerable)
        {
            result = Answer();
            return true;
        }
        result = default;
        return false;
    }

    /// <summary>The socket, if nothing of it is held here: then whoever takes from it directly takes what comes next.</summary>
    public LoopSocket? EmptySocket => _received.IsEmpty && !_ended && _failure is null ? socket : null;

    /// <summary>
    /// Waits until there is something to be received, the end, or a failure, and leaves it there: the result is empty. For who takes
    /// from <see cref="EmptySocket"/>. May be cancelled like a read.
    /// </summary>
    public ValueTask<ReadResult> WaitAsync()
    {
        _onlyWaits = true;
        return ReadAsync();
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_completed, this);
        cancellationToken.ThrowIfCancellationRequested();
        if (TakeCancel())
        {
            _onlyWaits = false;
            return new(Result(cancelled: true));
        }
        while (!IsAnswerable)
        {
            if (socket.MayReceive)
            {
                if (TakeWait()) return new(Result(cancelled: false));
                Receive();
                continue;
            }
            _source.Reset();
            var pending = new ValueTask<ReadResult>(this, _source.Version);
            Watch(cancellationToken);
            if (!socket.TryArmRead()) continue;
            // From here on another thread may complete it at any time, and the next read may be under way there.
            if (Volatile.Read(ref _cancelNext) != 0) CancelArmed();
            else if (Volatile.Read(ref _tokenCancelled) != 0) OnTokenCancelled();
            return pending;
        }
        return new(Answer());
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined) => _received.AdvanceTo(consumed, examined);

    public override void CancelPendingRead()
    {
        Volatile.Write(ref _cancelNext, 1);
        Interlocked.MemoryBarrier();
        CancelArmed();
    }

    public override void Complete(Exception? exception = null)
    {
        if (_completed) return;
        _completed = true;
        _received.Clear();
    }

    /// <summary>The loop says that there is something, or the end. On the loop's thread, or that of who closed the socket.</summary>
    public void OnReadable()
    {
        while (!TakeWait())
        {
            Receive();
            if (IsAnswerable) break;
            if (socket.TryArmRead()) return;
        }
        _registration.Dispose();
        if (_failure is not null) _source.SetException(_failure);
        else _source.SetResult(Result(cancelled: false));
    }

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private bool IsAnswerable => !_received.AllExamined || _ended || _failure is not null;

    private ReadResult Answer() => _failure is null ? Result(cancelled: false) : throw _failure;

    private ReadResult Result(bool cancelled) => new(_received.All, cancelled, _ended);

    // One that comes a moment later meets the read when it is armed.
    private bool TakeCancel() => Volatile.Read(ref _cancelNext) != 0 && Interlocked.Exchange(ref _cancelNext, 0) != 0;

    private bool TakeWait()
    {
        var only = _onlyWaits;
        _onlyWaits = false;
        return only;
    }

    // One call to the kernel. Finding nothing changes nothing.
    private void Receive()
    {
        var received = socket.Receive(_received.GetRoom(LeastRoom).Span);
        _received.Add(Math.Max(received, 0));
        if (received > 0) return;
        if (received == 0) _ended = true;
        else if (received != LoopSocket.WouldBlock)
            _failure = AbortReason ?? new ConnectionResetException($"The client's connection failed (error {-received}).");
    }

    private void CancelArmed()
    {
        if (!socket.TryDisarmRead()) return;
        Volatile.Write(ref _cancelNext, 0);
        _onlyWaits = false;
        _registration.Dispose();
        _source.SetResult(Result(cancelled: true));
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
        if (socket.TryDisarmRead()) _source.SetException(new OperationCanceledException(_token));
    }
}
