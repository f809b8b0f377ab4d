using System.Buffers;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Millau.Http1;

namespace Millau.Upstreams;

/// <summary>
/// One HTTP/1.1 connection to an instance. Used by one request at a time; between two it lies in the pool with a
/// receive pending, so that its end, or a byte nobody asked for, is noticed when it happens and not when the next
/// request is lost on it. That receive then becomes the one that takes the response head.
/// </summary>
/// <remarks>
/// Concurrency: <see cref="Abort"/> and <see cref="ExpireIfDue"/> may be called from any thread at any time. All else
/// belongs to the one request that holds the connection.
/// </remarks>
internal sealed class UpstreamConnection : IDisposable
{
    private const int MinBuffer = 8 * 1024;
    private const int MaxBuffer = 64 * 1024;

    private const int Active = 0;
    private const int Idle = 1;
    private const int Closed = 2;

    /// <summary>No byte is there at this moment; the connection is as it was.</summary>
    public const int NothingYet = -2;

    private const long NoDeadline = 0;
    private const long Expired = -1;

    private readonly Socket _socket;
    private readonly SocketOperation _receive;
    private readonly SocketOperation _send = new();
    private readonly UpstreamHeartbeat _heartbeat;
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(MinBuffer);
    private int _start;
    private int _end;
    private int _state = Active;
    private int _disposed;
    private bool _receiving;
    private long _deadline;

    /// <exception cref="SocketException">No descriptor is left.</exception>
    public UpstreamConnection(UpstreamInstance instance, UpstreamHeartbeat heartbeat)
    {
        Instance = instance;
        _heartbeat = heartbeat;
        _socket = new Socket(instance.EndPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        _receive = new SocketOperation(OnReceived);
        heartbeat.Add(this);
    }

    public UpstreamInstance Instance { get; }

    /// <summary>Where the heartbeat keeps this connection; the heartbeat's alone.</summary>
    public int HeartbeatSlot { get; set; }

    /// <summary>Has carried a request before.</summary>
    public bool IsReused { get; private set; }

    /// <summary>A deadline has passed and closed the connection.</summary>
    public bool TimedOut => Volatile.Read(ref _deadline) == Expired;

    /// <summary>The parsed head of the response; its offsets point into <see cref="HeadBytes"/>.</summary>
    public ResponseHead Head { get; } = new();

    /// <summary>The strings of the last response's fields, to be used again when they come again.</summary>
    public HeaderStrings Strings { get; } = new();

    /// <summary>The bytes of the last head.</summary>
    public ReadOnlySpan<byte> HeadBytes => _buffer.AsSpan(0, _start);

    /// <summary>Bytes received and not consumed yet.</summary>
    public ReadOnlyMemory<byte> Buffered => _buffer.AsMemory(_start, _end - _start);

    /// <summary>Milliseconds of the heartbeat's clock at which the connection, if still idle, is closed.</summary>
    public long IdleUntil { get; private set; }

    /// <summary>
    /// Something was received, or the connection ended, before anything was asked. Nothing was sent, so another
    /// connection may take the request.
    /// </summary>
    public bool IsSpoilt => !_receiving || _receive.IsCompleted;

    /// <summary>Connects and begins to watch the connection. Whatever fails is the value; the caller disposes then.</summary>
    public async ValueTask<SocketError> ConnectAsync(TimeSpan timeout)
    {
        SetDeadline(timeout);
        var result = await _receive.Connect(_socket, Instance.EndPoint).ConfigureAwait(false);
        if (!ClearDeadline()) return SocketError.TimedOut;
        if (result < 0)
            return _receive.SocketError == SocketError.Success ? SocketError.OperationAborted : _receive.SocketError;
        try
        {
            SetOptions();
        }
        catch (SocketException e)
        {
            // Reset meanwhile.
            return e.SocketErrorCode;
        }
        Watch();
        return SocketError.Success;
    }

    /// <summary>
    /// Sends all bytes; their count, or -1 when the socket failed. What the instance said before may still be received.
    /// </summary>
    public ValueTask<int> SendAsync(ReadOnlyMemory<byte> bytes) => _send.Send(_socket, bytes);

    /// <inheritdoc cref="SendAsync(ReadOnlyMemory{byte})"/>
    public ValueTask<int> SendAsync(IList<ArraySegment<byte>> segments) => _send.Send(_socket, segments);

    /// <summary>Receives and parses the next head.</summary>
    /// <returns>Null when there is one; else why not.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<HeadFailure?> ReceiveHeadAsync()
    {
        Head.Clear();
        if (_start == _end) _start = _end = 0;
        else MoveToFront();
        var parser = new ResponseParser();
        var anything = _end > 0;
        while (true)
        {
            if (_end > 0)
            {
                var status = parser.Parse(_buffer.AsSpan(0, _end), Head);
                if (status == ParseStatus.Invalid) return HeadFailure.Broken;
                if (status == ParseStatus.Complete)
                {
                    _start = parser.HeadLength;
                    return null;
                }
            }
            StartFill();
            var received = await _receive.Result.ConfigureAwait(false);
            EndFill(received);
            if (received <= 0) return anything ? HeadFailure.Truncated : HeadFailure.Closed;
            anything = true;
        }
    }

    /// <summary>Receives into the own buffer, behind what is there. 0: the end; -1: the connection failed.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<int> FillAsync()
    {
        StartFill();
        var received = await _receive.Result.ConfigureAwait(false);
        EndFill(received);
        return received;
    }

    /// <summary>As <see cref="FillAsync"/>, but takes only what is there: <see cref="NothingYet"/> if that is nothing.</summary>
    public int TryFill()
    {
        if (_end == _buffer.Length) Grow();
        var received = TryReceive(_buffer.AsSpan(_end));
        if (received > 0) _end += received;
        return received;
    }

    /// <summary>As <see cref="ReceiveAsync"/>, but takes only what is there: <see cref="NothingYet"/> if that is nothing.</summary>
    public int TryReceive(Span<byte> target)
    {
        try
        {
            var received = _socket.Receive(target, SocketFlags.None, out var error);
            return error switch
            {
                SocketError.Success => received,
                SocketError.WouldBlock => NothingYet,
                _ => -1,
            };
        }
        catch (ObjectDisposedException)
        {
            return -1;
        }
    }

    /// <summary>Receives body bytes straight into a buffer of the caller. 0: the end; -1: the connection failed.</summary>
    public ValueTask<int> ReceiveAsync(Memory<byte> target) => _receive.Receive(_socket, target);

    /// <summary>Marks the first buffered bytes as done with.</summary>
    public void Consume(int count)
    {
        _start += count;
        if (_start != _end) return;
        var filled = _end == _buffer.Length;
        _start = _end = 0;
        // A large body, which takes fewer calls with a larger buffer.
        if (filled && _buffer.Length < MaxBuffer) Grow();
    }

    /// <summary>Says that the instance will get no more from us, as a tunnel's client that has ended.</summary>
    public void ShutdownSend()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Already gone; the receiving side finds out.
        }
    }

    /// <summary>From now on the connection is closed if this time passes before <see cref="ClearDeadline"/>.</summary>
    public void SetDeadline(TimeSpan timeout)
    {
        var deadline = _heartbeat.Now + Math.Max(1, (long)timeout.TotalMilliseconds);
        var current = Volatile.Read(ref _deadline);
        // Never revives a connection whose deadline has passed: it is being closed.
        while (current != Expired)
        {
            var seen = Interlocked.CompareExchange(ref _deadline, deadline, current);
            if (seen == current) return;
            current = seen;
        }
    }

    /// <summary>Lifts the deadline. False when it has passed, so that the connection is closed or about to be.</summary>
    public bool ClearDeadline()
    {
        var current = Volatile.Read(ref _deadline);
        while (current != Expired)
        {
            var seen = Interlocked.CompareExchange(ref _deadline, NoDeadline, current);
            if (seen == current) return true;
            current = seen;
        }
        return false;
    }

    /// <summary>Closes the connection if its deadline has passed. The heartbeat calls this.</summary>
    public void ExpireIfDue(long now)
    {
        var deadline = Volatile.Read(ref _deadline);
        if (deadline <= NoDeadline || now < deadline) return;
        // Race window: the request may clear or move its deadline at this moment; whoever swaps first has it.
        if (Interlocked.CompareExchange(ref _deadline, Expired, deadline) == deadline) _socket.Dispose();
    }

    /// <summary>Ends whatever is under way: pending calls fail. The holder still disposes.</summary>
    public void Abort() => _socket.Dispose();

    /// <summary>
    /// Goes from its request to the pool: nothing may be buffered, and the receive that watches it is started.
    /// </summary>
    /// <returns>False when the connection is of no use any more; the caller disposes it.</returns>
    public bool TryBecomeIdle(long idleUntil)
    {
        if (_start != _end || _receiving) return false;
        if (_buffer.Length > MinBuffer * 2)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = ArrayPool<byte>.Shared.Rent(MinBuffer);
        }
        IsReused = true;
        IdleUntil = idleUntil;
        Watch();
        if (_receive.IsCompleted) return false;
        Volatile.Write(ref _state, Idle);
        return true;
    }

    /// <summary>Taken from the pool. False when it ended meanwhile: whoever noticed closes it.</summary>
    public bool TryActivate() => Interlocked.CompareExchange(ref _state, Active, Idle) == Idle;

    /// <summary>
    /// Takes an idle connection out of use for good. False when it is not idle (any more), or was closed by another.
    /// </summary>
    public bool TryClose()
    {
        if (Interlocked.CompareExchange(ref _state, Closed, Idle) != Idle) return false;
        Dispose();
        return true;
    }

    /// <summary>Closed, or ended while it was idle.</summary>
    public bool IsEnded => _receive.IsCompleted;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        _heartbeat.Remove(this);
        _socket.Dispose();
        // A receive that is still pending writes into the buffer until the kernel has let go of it: the buffer
        // of such a connection is left to the collector instead of given to somebody else.
        if (!_receiving || _receive.IsCompleted) ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
        _start = _end = 0;
        _receive.Dispose();
        _send.Dispose();
    }

    private void SetOptions()
    {
        // For TryReceive alone; the other calls do not block anyway.
        _socket.Blocking = false;
        // Finds a host that vanished while a response streams: after 15 s of silence, three tries 5 s apart.
        _socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        _socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 15);
        _socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
        _socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
    }

    private void Watch()
    {
        _start = _end = 0;
        StartReceive();
    }

    private void StartFill()
    {
        // The receive that watched the idle connection goes on as this one.
        if (_receiving) return;
        if (_end == _buffer.Length) Grow();
        StartReceive();
    }

    private void EndFill(int received)
    {
        _receiving = false;
        if (received > 0) _end += received;
    }

    private void StartReceive()
    {
        _receiving = true;
        _ = _receive.Receive(_socket, _buffer.AsMemory(_end));
    }

    // Runs on the socket's thread, before a waiting request sees the result.
    private void OnReceived()
    {
        if (Volatile.Read(ref _state) == Idle) Instance.Pool.CloseIdle(this);
    }

    private void MoveToFront()
    {
        if (_start == 0) return;
        _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
        _end -= _start;
        _start = 0;
    }

    private void Grow()
    {
        if (_start > 0 && _end - _start < _buffer.Length / 2)
        {
            MoveToFront();
            return;
        }
        var larger = ArrayPool<byte>.Shared.Rent(Math.Min(_buffer.Length * 2, MaxBuffer));
        _buffer.AsSpan(_start, _end - _start).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
        _end -= _start;
        _start = 0;
    }
}

/// <summary>Why there is no response head.</summary>
internal enum HeadFailure
{
    /// <summary>The connection ended or failed before a single byte.</summary>
    Closed,

    /// <summary>The connection ended within the head.</summary>
    Truncated,

    /// <summary>What came is no HTTP/1 response head.</summary>
    Broken,
}
