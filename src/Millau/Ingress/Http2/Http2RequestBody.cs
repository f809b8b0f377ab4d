using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Http;
using Millau.Transport;

namespace Millau.Ingress.Http2;

/// <summary>
/// The data of a stream on their way from the connection's reading to whoever takes the request. What is consumed is granted to the
/// client again; so it is the windows that bound what is held here.
/// </summary>
/// <remarks>
/// Concurrency: one reader, as for every <see cref="PipeReader"/>, and one writer, which is the reading of the connection;
/// <see cref="Fail"/> and <see cref="CancelPendingRead"/> from anywhere. The own lock is never held together with the connection's.
/// </remarks>
internal sealed class Http2RequestBody(Http2Exchange exchange, MemoryPool<byte> pool) : PipeReader, IValueTaskSource<ReadResult>
{
    private readonly Lock _lock = new();
    private readonly Action<object?> _cancelled = static state => ((Http2RequestBody)state!).OnTokenCancelled();
    private ManualResetValueTaskSourceCore<ReadResult> _source;
    private ReceivedBytes _held = new(pool);
    private bool _waiting;
    private bool _cancelNext;
    private bool _ended;
    private bool _completed;
    private Exception? _failure;
    private CancellationToken _token;
    private CancellationTokenRegistration _registration;
    private long _received;
    private long _waited;
    private long _waitedSince;

    /// <summary>For a new stream.</summary>
    public void Begin(bool ended)
    {
        lock (_lock)
        {
            _ended = ended;
            _completed = _cancelNext = _waiting = false;
            _failure = null;
            _received = _waited = 0;
        }
    }

    /// <summary>Adds a copy of what came. The reader is not woken yet.</summary>
    /// <returns>False if nobody wants it any more.</returns>
    public bool Append(in ReadOnlySequence<byte> data)
    {
        lock (_lock)
        {
            if (_completed || _failure is not null) return false;
            foreach (var piece in data) Append(piece.Span);
            _received += data.Length;
            return true;
        }
    }

    /// <summary>Nothing more comes.</summary>
    public void End()
    {
        lock (_lock) _ended = true;
    }

    /// <summary>Wakes the reader, if it waits and need not wait any more.</summary>
    public void Wake()
    {
        ReadResult result;
        lock (_lock)
        {
            if (!_waiting || !IsAnswerable) return;
            StopWaiting();
            result = Take();
        }
        _source.SetResult(result);
    }

    /// <summary>From now on it cannot be read, but for what was read already.</summary>
    public void Fail(Exception failure)
    {
        lock (_lock)
        {
            if (_completed || _failure is not null) return;
            _failure = failure;
            if (!_waiting) return;
            StopWaiting();
        }
        _source.SetException(failure);
    }

    /// <summary>Fails the body if it comes slower than <see cref="Http2Limits.SlowestSender"/> for too long, while it is waited for.</summary>
    public void Tick(long now, long patience)
    {
        lock (_lock)
        {
            if (!_waiting) return;
            var waited = _waited + now - _waitedSince;
            if (waited <= patience || _received * 1000 / Http2Limits.SlowestSender >= waited - patience) return;
        }
        Fail(new BadHttpRequestException("The body came too slowly.", StatusCodes.Status408RequestTimeout));
    }

    public override bool TryRead(out ReadResult result)
    {
        lock (_lock)
        {
            if (_cancelNext || IsAnswerable)
            {
                result = Take();
                return true;
            }
        }
        result = default;
        return false;
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ValueTask<ReadResult> pending;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_completed, this);
            if (_cancelNext || IsAnswerable) return new(Take());
            _source.Reset();
            pending = new ValueTask<ReadResult>(this, _source.Version);
            _waiting = true;
            _waitedSince = exchange.Now;
            _token = cancellationToken;
        }
        if (cancellationToken.CanBeCanceled) Watch(cancellationToken);
        exchange.AskForBody();
        return pending;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        int freed;
        lock (_lock) freed = _held.AdvanceTo(consumed, examined);
        if (freed > 0) exchange.Consumed(freed);
    }

    public override void CancelPendingRead()
    {
        ReadResult result;
        lock (_lock)
        {
            _cancelNext = true;
            if (!_waiting) return;
            StopWaiting();
            result = Take();
        }
        _source.SetResult(result);
    }

    /// <summary>Drops what is left. Idempotent.</summary>
    public override void Complete(Exception? exception = null)
    {
        int freed;
        lock (_lock)
        {
            _completed = true;
            freed = _held.Clear();
        }
        if (freed > 0) exchange.Consumed(freed);
    }

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private bool IsAnswerable => !_held.AllExamined || _ended || _failure is not null;

    private ReadResult Take()
    {
        var cancelled = _cancelNext;
        _cancelNext = false;
        if (!cancelled && _failure is not null) throw _failure;
        return new ReadResult(_held.All, cancelled, _ended && _failure is null);
    }

    private void StopWaiting()
    {
        _waiting = false;
        _waited += exchange.Now - _waitedSince;
        _registration.Unregister();
        _registration = default;
    }

    private void Watch(CancellationToken cancellation)
    {
        var registration = cancellation.UnsafeRegister(_cancelled, this);
        lock (_lock)
        {
            if (_waiting) _registration = registration;
            else registration.Unregister();
        }
    }

    private void OnTokenCancelled()
    {
        lock (_lock)
        {
            if (!_waiting || !_token.IsCancellationRequested) return;
            StopWaiting();
        }
        _source.SetException(new OperationCanceledException(_token));
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var room = _held.GetRoom(1).Span;
            var count = Math.Min(room.Length, bytes.Length);
            bytes[..count].CopyTo(room);
            _held.Add(count);
            bytes = bytes[count..];
        }
    }
}
