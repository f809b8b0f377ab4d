namespace Millau.Logging;

/// <summary>
/// Whole lines on their way to a stream that may stall, as a full pipe does when nobody reads it. Who writes a line copies it
/// and goes on; a thread of its own gives the stream all that has come, in one call. What does not fit is dropped, counted,
/// and said as soon as there is room again, once a minute at most.
/// </summary>
/// <remarks>
/// Two blocks of memory take turns: one is filled while the other is written. The lock is held for as long as it takes to copy
/// a line, never while the stream is written. Lines stay in order and whole.
/// </remarks>
internal sealed class LineQueue : IDisposable
{
    private static readonly TimeSpan NoticePeriod = TimeSpan.FromMinutes(1);

    /// <summary>How long the end of the process waits for a stream that does not take what is left.</summary>
    private static readonly TimeSpan ClosePatience = TimeSpan.FromSeconds(2);

    /// <summary>Bytes of the capacity that are kept for the notice of drops, which comes from the writing thread.</summary>
    public const int Reserve = 512;

    private readonly object _gate = new();
    private readonly Stream _output;
    private readonly TimeSpan _linger;
    private readonly TimeProvider _time;
    private readonly Thread _writer;
    private byte[] _filling;
    private byte[] _writing;
    private int _length;
    private bool _closed;
    private long _dropped;
    private long _said;
    private long? _saidAt;

    /// <param name="output">Gets whole lines; not disposed.</param>
    /// <param name="capacity">Bytes that wait at most; as many again may be on their way. Memory is used as it is needed.</param>
    /// <param name="linger">How long a line may wait for others to be written with it.</param>
    /// <param name="time">Spaces the notices of drops.</param>
    public LineQueue(Stream output, int capacity, TimeSpan linger, TimeProvider time)
    {
        _output = output;
        _linger = linger;
        _time = time;
        _filling = GC.AllocateUninitializedArray<byte>(capacity);
        _writing = GC.AllocateUninitializedArray<byte>(capacity);
        _writer = new Thread(Run) { IsBackground = true, Name = "log" };
        _writer.Start();
    }

    /// <summary>Told, on the writing thread, how many lines were dropped since it was told last.</summary>
    public event Action<long>? LinesDropped;

    /// <summary>Lines that were dropped since the start.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <summary>Takes a line, end included. False if there is no room: it is dropped then.</summary>
    public bool TryWrite(ReadOnlySpan<byte> line)
    {
        lock (_gate)
        {
            var room = _filling.Length - _length;
            if (_closed || (line.Length > room - Reserve && (line.Length > room || Thread.CurrentThread != _writer)))
            {
                _dropped++;
                return false;
            }
            line.CopyTo(_filling.AsSpan(_length));
            var before = _length;
            _length += line.Length;
            // The writer waits for the first line, and then for more until it lingered enough or half is full.
            var half = _filling.Length / 2;
            if (before == 0 || (before < half && _length >= half)) Monitor.Pulse(_gate);
            return true;
        }
    }

    /// <summary>Takes no more, and writes what is left: for 2 s at most, if the stream does not take it. Idempotent.</summary>
    public void Dispose()
    {
        SayDropped(now: true);
        lock (_gate)
        {
            _closed = true;
            Monitor.Pulse(_gate);
        }
        if (Thread.CurrentThread != _writer) _writer.Join(ClosePatience);
    }

    private void Run()
    {
        while (TryTake(out var lines))
        {
            // Here, where there is room again, and in the place where the lines are missing.
            SayDropped(now: false);
            try
            {
                _output.Write(lines.Span);
                _output.Flush();
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                // Nobody reads the log any more; that is no reason to stop serving.
            }
        }
    }

    // Waits for lines, or until there is a drop to be said: none then. False when closed, with nothing left.
    private bool TryTake(out ReadOnlyMemory<byte> lines)
    {
        lock (_gate)
        {
            while (_length == 0 && !_closed && UntilNotice() != TimeSpan.Zero) Monitor.Wait(_gate, UntilNotice());
            if (_length > 0 && _length < _filling.Length / 2 && !_closed && _linger > TimeSpan.Zero) Monitor.Wait(_gate, _linger);
            lines = _filling.AsMemory(0, _length);
            if (_length == 0) return !_closed;
            (_filling, _writing) = (_writing, _filling);
            _length = 0;
            return true;
        }
    }

    // Zero when a drop is to be said now, infinite when there is none.
    private TimeSpan UntilNotice()
    {
        if (_dropped == _said) return Timeout.InfiniteTimeSpan;
        if (_saidAt is not { } saidAt) return TimeSpan.Zero;
        var left = NoticePeriod - _time.GetElapsedTime(saidAt);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    private void SayDropped(bool now)
    {
        long count;
        lock (_gate)
        {
            count = _dropped - _said;
            if (count == 0 || (!now && UntilNotice() != TimeSpan.Zero)) return;
            _said = _dropped;
            _saidAt = _time.GetTimestamp();
        }
        LinesDropped?.Invoke(count);
    }
}
