using System.Buffers;

namespace Millau.Transport;

/// <summary>
/// A connected TCP socket on an event loop: receives and sends without blocking, and calls back once when the kernel says
/// that more can be done. Owns its descriptor.
/// </summary>
/// <remarks>
/// Concurrency: at most one reader and one writer at a time, on any thread; <see cref="Close"/> at any time from anywhere.
/// Readiness is kept in one word a direction, so that an edge between "nothing there" and "call me" is not lost: the
/// loop sets it to ready, the reader takes it back before each try and arms it only if it still is not ready.
/// </remarks>
/// <param name="number">A descriptor that does not block.</param>
/// <param name="loop">Where it is called back.</param>
internal abstract class LoopSocket(int number, EventLoop loop) : Watched
{
    private const uint Changes = Native.In | Native.Out | Native.ReadHangUp | Native.EdgeTriggered;

    // Pieces in one call; what is more is sent by the next.
    private const int MostVectors = 32;

    private const int Quiet = 0;
    private const int Ready = 1;
    private const int Armed = 2;
    private const int Awaited = 3;

    /// <summary>Nothing can be received, or sent, at the moment.</summary>
    public const int WouldBlock = -Native.EAGAIN;

    private Descriptor _descriptor = new(number);
    private MemoryHandle[]? _pins;
    private int _readable;
    private int _writable;
    private volatile bool _hungUp;
    private bool _mayHaveMore;
    private ReadinessWait? _readWait;
    private ReadinessWait? _writeWait;
    private int _wakeReader;
    private int _wakeWriter;
    private long _sentBytes;

    public EventLoop Loop => loop;

    /// <summary>Bytes that the kernel has taken so far. Any thread.</summary>
    public long SentBytes => Volatile.Read(ref _sentBytes);

    /// <summary>
    /// Bytes that the peer's side has taken so far: sent, and acknowledged by its kernel. For who looks now and then: it asks the kernel.
    /// </summary>
    public long TakenBytes
    {
        get
        {
            var sent = SentBytes;
            if (!TryHold(out var descriptor)) return sent;
            var queued = Native.UnacknowledgedBytes(descriptor);
            Release();
            return sent - queued;
        }
    }

    /// <summary>Somebody waits until the peer makes room. Any thread.</summary>
    public bool IsRoomAwaited => Volatile.Read(ref _writable) is Armed or Awaited;

    public bool IsClosed => _descriptor.IsClosed;

    /// <summary>Begins to watch. False if that cannot be had: the socket is closed then.</summary>
    public bool Start()
    {
        if (TryHold(out var descriptor))
        {
            var isWatched = loop.Add(this, descriptor, Changes);
            Release();
            if (isWatched)
            {
                // Race window: closed before it had a place to be taken from.
                if (IsClosed) loop.Remove(this);
                return true;
            }
        }
        Close(reset: true);
        return false;
    }

    public override void OnEvents(uint events)
    {
        const uint ended = Native.ReadHangUp | Native.HangUp | Native.Error;
        // Set first: what is woken tries until it sees the end itself, for no further edge will come.
        if ((events & ended) != 0) _hungUp = true;
        // Both before anybody is woken, who may ask for the other direction too.
        var writer = (events & (Native.Out | Native.HangUp | Native.Error)) != 0 ? Interlocked.Exchange(ref _writable, Ready) : Quiet;
        var reader = (events & (Native.In | ended)) != 0 ? Interlocked.Exchange(ref _readable, Ready) : Quiet;
        WakeWriter(writer);
        WakeReader(reader);
        if ((events & ended) != 0) OnPeerEnded(wholly: (events & (Native.HangUp | Native.Error)) != 0);
    }

    public override void OnLoopEnd() => Close(reset: true);

    /// <summary>
    /// Closes the socket; later calls do nothing. Whoever is armed is called back on the loop and sees the failure.
    /// </summary>
    /// <param name="reset">Tell the peer that this is no orderly end.</param>
    public void Close(bool reset)
    {
        if (reset && TryHold(out var descriptor))
        {
            NativeSocket.ResetOnClose(descriptor);
            Release();
        }
        if (!_descriptor.Close()) return;
        loop.Remove(this);
        // From here on nobody can arm: each try is answered by the failure.
        _wakeWriter = Interlocked.Exchange(ref _writable, Ready);
        _wakeReader = Interlocked.Exchange(ref _readable, Ready);
        if (_wakeWriter is Armed or Awaited || _wakeReader is Armed or Awaited) loop.PostClosed(this);
    }

    /// <summary>Called by the loop after <see cref="Close"/>.</summary>
    public void WakeClosed()
    {
        WakeWriter(_wakeWriter);
        WakeReader(_wakeReader);
    }

    /// <summary>Tells the peer that nothing more is sent. Nothing if the connection has gone: the receiving side finds out.</summary>
    public void ShutdownSend()
    {
        if (!TryHold(out var descriptor)) return;
        NativeSocket.ShutdownSend(descriptor);
        Release();
    }

    /// <inheritdoc cref="Descriptor.TryHold"/>
    protected bool TryHold(out int descriptor) => _descriptor.TryHold(out descriptor);

    protected void Release() => _descriptor.Release();

    /// <summary>There is more to receive, the end, or a failure. Called once for each successful <see cref="TryArmRead"/>.</summary>
    protected abstract void OnReadable();

    /// <summary>There is room to send, or a failure. Called once for each successful <see cref="TryArmWrite"/>.</summary>
    protected abstract void OnWritable();

    /// <summary>The peer sends no more. On the loop; may be called more than once.</summary>
    /// <param name="wholly">Nothing can be sent to it either; else it may still listen.</param>
    protected virtual void OnPeerEnded(bool wholly)
    {
    }

    /// <summary>Asks for <see cref="OnReadable"/>. False when it is worth trying to receive at once instead.</summary>
    public bool TryArmRead() =>
        Interlocked.CompareExchange(ref _readable, Armed, Quiet) == Quiet;

    /// <summary>Takes the wish back. False when the call is under way or done.</summary>
    public bool TryDisarmRead() => Interlocked.CompareExchange(ref _readable, Quiet, Armed) == Armed;

    /// <inheritdoc cref="TryArmRead"/>
    public bool TryArmWrite() => Interlocked.CompareExchange(ref _writable, Armed, Quiet) == Quiet;

    /// <inheritdoc cref="TryDisarmRead"/>
    public bool TryDisarmWrite() => Interlocked.CompareExchange(ref _writable, Quiet, Armed) == Armed;

    /// <summary>
    /// Waits until it is worth trying to receive: there is more, the end, or a failure. Goes on on the loop, in place of
    /// <see cref="OnReadable"/>. To be awaited at once.
    /// </summary>
    public ValueTask WaitReadable()
    {
        var pending = (_readWait ??= new ReadinessWait()).Begin();
        return Interlocked.CompareExchange(ref _readable, Awaited, Quiet) == Quiet ? pending : default;
    }

    /// <summary>The same for sending, in place of <see cref="OnWritable"/>.</summary>
    public ValueTask WaitWritable()
    {
        var pending = (_writeWait ??= new ReadinessWait()).Begin();
        return Interlocked.CompareExchange(ref _writable, Awaited, Quiet) == Quiet ? pending : default;
    }

    /// <summary>
    /// What is known without asking the kernel: a call to receive would find something. It spares the call that finds
    /// nothing, since a receive that did not fill its buffer has emptied the socket.
    /// </summary>
    public bool MayReceive => _mayHaveMore || _hungUp || Volatile.Read(ref _readable) == Ready;

    /// <summary>Receives what is there: bytes, 0 for the end, or a negative error number such as <see cref="WouldBlock"/>.</summary>
    public int Receive(Span<byte> target)
    {
        TakeBack(ref _readable);
        if (!TryHold(out var descriptor)) return -Native.ECONNRESET;
        var received = Native.Receive(descriptor, target);
        Release();
        _mayHaveMore = received == target.Length;
        if (received == WouldBlock) _hungUp = false;
        return received;
    }

    /// <summary>Sends what the kernel takes: bytes, or a negative error number such as <see cref="WouldBlock"/>.</summary>
    public int Send(ReadOnlySpan<byte> bytes)
    {
        TakeBack(ref _writable);
        if (!TryHold(out var descriptor)) return -Native.EPIPE;
        var sent = Native.Send(descriptor, bytes);
        Release();
        return Count(sent);
    }

    /// <summary>Sends several pieces in one call, as <see cref="Send(ReadOnlySpan{byte})"/>. The memory must be pinned.</summary>
    public unsafe int Send(Native.Vector* vectors, int count)
    {
        TakeBack(ref _writable);
        if (!TryHold(out var descriptor)) return -Native.EPIPE;
        var sent = Native.Send(descriptor, vectors, count);
        Release();
        return Count(sent);
    }

    /// <summary>Sends segments from one on, as far as one call takes them.</summary>
    /// <param name="segments">All of them.</param>
    /// <param name="first">The first that is not sent whole.</param>
    /// <param name="offset">What of it is sent.</param>
    public unsafe int Send(IList<ArraySegment<byte>> segments, int first, int offset)
    {
        var count = Math.Min(segments.Count - first, MostVectors);
        if (count == 1) return Send(segments[first].AsSpan(offset));
        _pins ??= new MemoryHandle[MostVectors];
        var vectors = stackalloc Native.Vector[MostVectors];
        try
        {
            for (var i = 0; i < count; i++)
            {
                var memory = segments[first + i].AsMemory(i == 0 ? offset : 0);
                _pins[i] = memory.Pin();
                vectors[i] = new Native.Vector { Start = _pins[i].Pointer, Length = (nuint)memory.Length };
            }
            return Send(vectors, count);
        }
        finally
        {
            for (var i = 0; i < count; i++) _pins[i].Dispose();
        }
    }

    /// <summary>Receives into a pipe, which must be empty, as <see cref="Receive"/> does into memory.</summary>
    /// <param name="pipe">The caller's.</param>
    /// <param name="most">Bytes.</param>
    public int SpliceTo(SplicePipe pipe, int most)
    {
        TakeBack(ref _readable);
        if (!TryHold(out var descriptor)) return -Native.ECONNRESET;
        var received = pipe.Fill(descriptor, most);
        Release();
        // Fewer bytes than asked for may as well mean that the pipe has no more places.
        _mayHaveMore = received > 0;
        if (received == WouldBlock) _hungUp = false;
        return received;
    }

    /// <summary>Sends what is in a pipe, which must not be empty, as far as the kernel takes it; as <see cref="Send(ReadOnlySpan{byte})"/>.</summary>
    public int SpliceFrom(SplicePipe pipe)
    {
        TakeBack(ref _writable);
        if (!TryHold(out var descriptor)) return -Native.EPIPE;
        var sent = pipe.Drain(descriptor);
        Release();
        return Count(sent);
    }

    // The kernel must be asked after the edge was taken back, or one between the two would be lost. TryHold, which is next, is the fence.
    private static void TakeBack(ref int readiness) => Volatile.Write(ref readiness, Quiet);

    private int Count(int sent)
    {
        if (sent > 0) Volatile.Write(ref _sentBytes, _sentBytes + sent);
        return sent;
    }

    private void WakeReader(int was)
    {
        if (was == Armed) OnReadable();
        else if (was == Awaited) _readWait!.End();
    }

    private void WakeWriter(int was)
    {
        if (was == Armed) OnWritable();
        else if (was == Awaited) _writeWait!.End();
    }
}
