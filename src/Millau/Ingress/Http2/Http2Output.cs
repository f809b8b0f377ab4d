using System.IO.Pipelines;
using Millau.Http2;
using Millau.Transport;

namespace Millau.Ingress.Http2;

/// <summary>
/// What a connection sends. Frames of all streams are gathered while a flush is under way, or work is that may bring forth more of
/// them, and go out together: many small answers cost one record of TLS and one call to the kernel.
/// </summary>
/// <remarks>
/// Concurrency: what is said to be guarded is so by the connection's gate. Whoever is told <c>true</c> there calls <see cref="Start"/>
/// after it has let go of the gate. The writer is used by one thread at a time: while it sends, the state is Sending.
/// </remarks>
internal sealed class Http2Output
{
    // Handed to the transport at once: what one flush holds in buffers beside those of the streams. With what TLS adds to its records it
    // still fits into one block of the transport's, and so it is encrypted by the flush, and not before, which is behind the gate.
    private const int MostAtOnce = 63 * 1024;

    // Flushes in a row; then others have a turn.
    private const int MostInTurn = 16;

    private readonly Http2Connection _connection;
    private readonly PipeWriter _writer;
    private readonly EventLoop? _loop;
    private readonly Action _send;
    private readonly Action _flushed;
    private readonly Http2Pending _pending = new();
    private readonly SlowReader _slow;
    private readonly Http2Turns _turns;
    private ValueTask<FlushResult> _flush;
    private TaskCompletionSource? _whenSent;
    private TaskCompletionSource? _whenRoom;
    private State _state;
    private bool _corked;
    private bool _failed;
    private int _inFlush;

    /// <param name="connection">Whose frames they are.</param>
    /// <param name="writer">Where they go.</param>
    /// <param name="loop">Where the connection is served; null without event loops.</param>
    /// <param name="slow">Told of flushes that are not over at once.</param>
    /// <param name="patience">How long a client may take to make room, beside the time for each byte.</param>
    public Http2Output(Http2Connection connection, PipeWriter writer, EventLoop? loop, SlowReader slow, TimeSpan patience)
    {
        _slow = slow;
        _turns = new Http2Turns(connection, _pending, (long)patience.TotalMilliseconds);
        _connection = connection;
        _writer = writer;
        _loop = loop;
        _send = Send;
        _flushed = OnFlushed;
    }

    private enum State : byte
    {
        Idle,

        /// <summary>It was said that there is something.</summary>
        Scheduled,

        Sending,
    }

    /// <summary>Guarded: what the client may take on a new stream.</summary>
    public int StreamWindow => _turns.StreamWindow;

    /// <summary>Guarded: so much waits to be sent that the client is to be heard no further.</summary>
    public bool IsFull => _pending.Length > Http2Pending.Most && !_failed;

    /// <summary>Guarded: frames that are not of a stream's body.</summary>
    public Http2Pending Pending => _pending;

    /// <summary>Guarded: the head of an answer. It goes out with what follows, or with the next <see cref="Request"/>.</summary>
    public void WriteHead(int stream, Http2AnswerHead head, long length, bool ends) =>
        _pending.Head(stream, head, length, _connection.Date, ends);

    /// <summary>Guarded: 100.</summary>
    public bool WriteContinue(int stream)
    {
        _pending.Status(stream, 100, ends: false);
        return Request();
    }

    /// <summary>Guarded: what is there is to be sent.</summary>
    public bool Request()
    {
        if (_state != State.Idle || _corked || _failed) return false;
        _state = State.Scheduled;
        return true;
    }

    /// <summary>Guarded: a stream has written, or ended; what it wrote is this object's until it is sent.</summary>
    public bool Enqueue(Http2Exchange exchange)
    {
        _turns.Enqueue(exchange);
        return Request();
    }

    /// <summary>Guarded: the client takes more, of a stream or, with null, on the connection. False if that cannot be.</summary>
    public bool TryWiden(Http2Exchange? exchange, int bytes) => _turns.TryWiden(exchange, bytes);

    /// <summary>Guarded: takes over settings of the client. False if a window exceeds what there can be.</summary>
    public bool TrySet(PeerSettings settings)
    {
        _pending.SetTableSize(settings.HeaderTableSize);
        return _turns.TrySet(settings.InitialWindowSize);
    }

    /// <summary>Guarded: from now on nothing is sent until <see cref="Uncork"/>; work is done that may bring forth more.</summary>
    public void Cork() => _corked = true;

    /// <summary>Guarded: it is over.</summary>
    public bool Uncork()
    {
        _corked = false;
        return HasWork && Request();
    }

    /// <summary>Sends: at once, or on an event loop when all is done that became ready together.</summary>
    public void Start()
    {
        if (_loop is { IsCurrent: true }) _loop.AfterEvents(_send);
        else Send();
    }

    /// <summary>Is over when all is sent, or will never be.</summary>
    public Task WhenSentAsync()
    {
        lock (_connection.Gate)
        {
            if (_state != State.Sending && (_failed || !HasWork)) return Task.CompletedTask;
            _whenSent ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _whenSent.Task;
        }
    }

    /// <summary>Is over when so much is sent that the client may be heard again, or when nothing will be sent any more.</summary>
    public Task WhenRoomAsync()
    {
        lock (_connection.Gate)
        {
            if (!IsFull) return Task.CompletedTask;
            _whenRoom ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _whenRoom.Task;
        }
    }

    private bool HasWork => _pending.Length > 0 || _turns.Any;

    private void Send()
    {
        for (var turn = 0; ; turn++)
        {
            if (turn == MostInTurn && _loop is { IsCurrent: true })
            {
                _loop.AfterEvents(_send);
                return;
            }
            if (!TryFill()) return;
            try
            {
                _flush = _writer.FlushAsync();
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
            {
                // The client has gone.
                _flush = new(new FlushResult(isCanceled: false, isCompleted: true));
            }
            if (!_flush.IsCompleted)
            {
                _slow.Begin(_inFlush);
                _flush.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(_flushed);
                return;
            }
            if (!Tell()) return;
        }
    }

    private void OnFlushed()
    {
        _slow.End();
        if (Tell()) Send();
    }

    // False when there is nothing to send.
    private bool TryFill()
    {
        bool over;
        lock (_connection.Gate)
        {
            if (_failed) return Rest();
            _state = State.Sending;
            _inFlush = _pending.MoveTo(_writer);
            // What ends a body stands behind all data of this turn, which is as good as right behind those of its own stream.
            _inFlush += _turns.Take(_writer, Math.Max(MostAtOnce - _inFlush, FrameHeader.DefaultMaxLength)) + _pending.MoveTo(_writer);
            TellRoom();
            if (_inFlush > 0) return true;
            Rest();
            over = _connection.IsOver;
        }
        if (over) _connection.Close();
        return false;
    }

    private bool Rest()
    {
        _state = State.Idle;
        _whenSent?.TrySetResult();
        _whenSent = null;
        return false;
    }

    private void TellRoom()
    {
        if (_whenRoom is null || IsFull) return;
        _whenRoom.TrySetResult();
        _whenRoom = null;
    }

    // What was taken is sent. False when nothing will be any more.
    private bool Tell()
    {
        bool sent;
        try
        {
            sent = !_flush.GetAwaiter().GetResult().IsCompleted;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
        {
            sent = false;
        }
        if (!sent)
        {
            lock (_connection.Gate)
            {
                Close();
                Rest();
            }
        }
        _turns.TellSent(sent);
        if (!sent) _connection.OnOutputFailed();
        return sent;
    }

    /// <summary>Guarded: nothing is sent any more, but for a flush that is under way.</summary>
    public void Close()
    {
        _failed = true;
        _pending.Release();
        TellRoom();
        _turns.Clear();
        if (_state != State.Sending) Rest();
    }
}
