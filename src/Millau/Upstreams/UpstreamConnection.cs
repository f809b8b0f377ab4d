using System.Net.Sockets;
using Millau.Http1;
using Millau.Memory;
using Millau.Transport;

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

    /// <inheritdoc cref="UpstreamStream.NothingYet"/>
    public const int NothingYet = UpstreamStream.NothingYet;

    // An instance that has accepted is there, but may have many handshakes before it.
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(5);

    private const long NoDeadline = 0;
    private const long Expired = -1;

    private readonly SocketStream _plain;
    private readonly UpstreamHeartbeat _heartbeat;
    private readonly InstanceTls? _tls;
    private readonly UpstreamTls? _tlsOptions;
    private UpstreamStream _stream;
    private byte[] _buffer;
    private int _start;
    private int _end;
    private int _state = Active;
    private int _disposed;
    private bool _receiving;
    private ResponseParser _parser;
    private int _lastFill;
    private long _deadline;

    /// <param name="instance">Where to connect to.</param>
    /// <param name="heartbeat">Keeps its deadlines.</param>
    /// <param name="loop">As <see cref="SocketStream.Create"/> says.</param>
    /// <exception cref="SocketException">No descriptor is left.</exception>
    public UpstreamConnection(UpstreamInstance instance, UpstreamHeartbeat heartbeat, EventLoop? loop)
    {
        Instance = instance;
        Loop = loop;
        _heartbeat = heartbeat;
        _tls = instance.Service.Tls;
        _tlsOptions = _tls?.Current;
        _plain = SocketStream.Create(instance.EndPoint.AddressFamily, loop, _tls is null ? OnReceived : null);
        _stream = _plain;
        _buffer = BufferPool.Shared.Rent(MinBuffer);
        heartbeat.Add(this);
    }

    public UpstreamInstance Instance { get; }

    /// <summary>Where it is served; null on the framework's sockets.</summary>
    public EventLoop? Loop { get; }

    /// <summary>Where the heartbeat keeps this connection; the heartbeat's alone.</summary>
    public int HeartbeatSlot { get; set; }

    /// <summary>Has carried a request before.</summary>
    public bool IsReused { get; private set; }

    /// <summary>A deadline has passed and closed the connection.</summary>
    public bool TimedOut => Volatile.Read(ref _deadline) == Expired;

    /// <summary>The parsed head of the response; its offsets point into <see cref="HeadBytes"/>.</summary>
    public ResponseHead Head { get; } = new();

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
    public bool IsSpoilt => !_receiving || _stream.IsReceived;

    /// <summary>
    /// Made as connections to its instance are made now: with the same certificates and names, or in plain as they.
    /// </summary>
    public bool IsCurrent => ReferenceEquals(_tls, Instance.Service.Tls) && ReferenceEquals(_tlsOptions, _tls?.Current);

    /// <summary>
    /// Why the instance refused our certificate, in words; null if it did not. It then took nothing of what was sent.
    /// </summary>
    public string? TlsRefusal => (_stream as TlsStream)?.Refusal;

    /// <summary>
    /// Connects, makes the TLS connection if there is to be one, and begins to watch it. Whatever fails is the value; the
    /// caller disposes then.
    /// </summary>
    /// <param name="timeout">For connecting; a handshake has a time of its own.</param>
    public async ValueTask<ConnectResult> ConnectAsync(TimeSpan timeout)
    {
        if (_tls is not null && _tlsOptions is null) return new(SocketError.Success, _tls.Problem);
        SetDeadline(timeout);
        var error = await _plain.ConnectAsync(Instance.EndPoint).ConfigureAwait(false);
        if (!ClearDeadline()) return new(SocketError.TimedOut);
        if (error != SocketError.Success) return new(error);
        if (_tlsOptions is not null && await HandshakeAsync(_tlsOptions).ConfigureAwait(false) is { IsConnected: false } failed)
            return failed;
        Watch();
        return new(SocketError.Success);
    }

    private async ValueTask<ConnectResult> HandshakeAsync(UpstreamTls options)
    {
        var tls = new TlsStream(_plain, options, OnReceived);
        _stream = tls;
        var timeout = Instance.Service.Timeout;
        SetDeadline(timeout < HandshakeTimeout ? timeout : HandshakeTimeout);
        var failure = await tls.HandshakeAsync().ConfigureAwait(false);
        return ClearDeadline() ? new(SocketError.Success, failure) : new(SocketError.TimedOut, "TLS handshake timed out");
    }

    /// <summary>
    /// Sends all bytes; their count, or -1 when the socket failed. What the instance said before may still be received.
    /// </summary>
    public ValueTask<int> SendAsync(ReadOnlyMemory<byte> bytes) => _stream.Send(bytes);

    /// <inheritdoc cref="SendAsync(ReadOnlyMemory{byte})"/>
    public ValueTask<int> SendAsync(IList<ArraySegment<byte>> segments) => _stream.Send(segments);

    /// <summary>From now on a head is read, by <see cref="TryReadHead"/> and as many fills as it takes.</summary>
    public void BeginHead()
    {
        Head.Clear();
        if (_start == _end) _start = _end = 0;
        else MoveToFront();
        _parser = default;
        _lastFill = 1;
    }

    /// <summary>
    /// Parses what is there of the head. False if more is needed: <see cref="StartFill"/> is to be awaited, and what it gives told to
    /// <see cref="EndFill"/>.
    /// </summary>
    /// <param name="failure">Null when there is a head; else why there will be none.</param>
    public bool TryReadHead(out HeadFailure? failure)
    {
        failure = null;
        if (_lastFill <= 0)
        {
            failure = _end > 0 ? HeadFailure.Truncated : HeadFailure.Closed;
            return true;
        }
        if (_end == 0) return false;
        switch (_parser.Parse(_buffer.AsSpan(0, _end), Head))
        {
            case ParseStatus.Complete:
                _start = _parser.HeadLength;
                return true;
            case ParseStatus.Invalid:
                failure = HeadFailure.Broken;
                return true;
            default:
                return false;
        }
    }

    /// <summary>Reads the next head, waiting for it.</summary>
    /// <returns>As the failure of <see cref="TryReadHead"/>.</returns>
    public async ValueTask<HeadFailure?> ReadHeadAsync()
    {
        BeginHead();
        HeadFailure? failure;
        while (!TryReadHead(out failure)) EndFill(await StartFill().ConfigureAwait(false));
        return failure;
    }

    /// <summary>
    /// Receives into the own buffer, behind what is there; the result goes to <see cref="EndFill"/>. In two steps, since a method that
    /// waits costs more than the rest of this.
    /// </summary>
    public ValueTask<int> StartFill()
    {
        // The receive that watched the idle connection goes on as this one.
        if (!_receiving)
        {
            if (_end == _buffer.Length) Grow();
            StartReceive();
        }
        return _stream.Received;
    }

    /// <summary>Takes over what was received.</summary>
    /// <returns>The bytes received. 0: the end; -1: the connection failed.</returns>
    public int EndFill(int received)
    {
        _receiving = false;
        _lastFill = received;
        if (received > 0) _end += received;
        return received;
    }

    /// <summary>As <see cref="StartFill"/>, but takes only what is there: <see cref="NothingYet"/> if that is nothing.</summary>
    public int TryFill()
    {
        if (_end == _buffer.Length) Grow();
        var received = TryReceive(_buffer.AsSpan(_end));
        if (received > 0) _end += received;
        return received;
    }

    /// <summary>As <see cref="ReceiveAsync"/>, but takes only what is there: <see cref="NothingYet"/> if that is nothing.</summary>
    public int TryReceive(Span<byte> target) => _stream.TryReceive(target);

    /// <summary>Receives body bytes straight into a buffer of the caller. 0: the end; -1: the connection failed.</summary>
    public ValueTask<int> ReceiveAsync(Memory<byte> target)
    {
        _stream.Receive(target);
        return _stream.Received;
    }

    /// <summary>
    /// The socket, where there is one that speaks in plain on an event loop: bodies may be spliced from it, when nothing is buffered, and
    /// to it.
    /// </summary>
    public LoopSocket? PlainSocket => (_stream as LoopStream)?.Socket;

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
    public void ShutdownSend() => _stream.ShutdownSend();

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
        if (Interlocked.CompareExchange(ref _deadline, Expired, deadline) == deadline) Abort();
    }

    /// <summary>Ends whatever is under way: pending calls fail. The holder still disposes.</summary>
    public void Abort() => _stream.Abort();

    /// <summary>
    /// Goes from its request to the pool: nothing may be buffered, and the receive that watches it is started.
    /// </summary>
    /// <returns>False when the connection is of no use any more; the caller disposes it.</returns>
    public bool TryBecomeIdle(long idleUntil)
    {
        if (_start != _end || _receiving) return false;
        if (_buffer.Length > MinBuffer * 2)
        {
            BufferPool.Shared.Return(_buffer);
            _buffer = BufferPool.Shared.Rent(MinBuffer);
        }
        IsReused = true;
        IdleUntil = idleUntil;
        Watch();
        if (_stream.IsReceived) return false;
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
    public bool IsEnded => _stream.IsReceived;

    /// <summary>No request has it, and nobody has closed it.</summary>
    public bool IsIdle => Volatile.Read(ref _state) == Idle;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        _heartbeat.Remove(this);
        _stream.Dispose();
        // A receive that is still pending writes into the buffer until the kernel has let go of it: the buffer
        // of such a connection is left to the collector instead of given to somebody else.
        if (!_receiving || _stream.IsReceived) BufferPool.Shared.Return(_buffer);
        else BufferPool.Shared.Abandon(_buffer);
        _buffer = [];
        _start = _end = 0;
    }

    private void Watch()
    {
        _start = _end = 0;
        StartReceive();
    }

    private void StartReceive()
    {
        _receiving = true;
        _stream.Receive(_buffer.AsMemory(_end));
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
        var larger = BufferPool.Shared.Rent(Math.Min(_buffer.Length * 2, MaxBuffer));
        _buffer.AsSpan(_start, _end - _start).CopyTo(larger);
        BufferPool.Shared.Return(_buffer);
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
