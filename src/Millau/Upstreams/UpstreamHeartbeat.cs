namespace Millau.Upstreams;

/// <summary>
/// One timer for the deadlines of all upstream connections, so that a request pays two atomic swaps for its timeout
/// and no timer of its own. A deadline is met up to one beat late.
/// </summary>
internal sealed class UpstreamHeartbeat : IDisposable
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(100);

    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private UpstreamConnection?[] _connections = new UpstreamConnection?[64];
    private int _count;
    private long _opened;
    private long _lastBeat;

    public UpstreamHeartbeat(TimeProvider time)
    {
        _time = time;
        _lastBeat = Now;
        _timer = time.CreateTimer(static state => ((UpstreamHeartbeat)state!).OnBeat(), this, Beat, Beat);
    }

    /// <summary>Milliseconds of a clock that only goes forward.</summary>
    public long Now => _time.GetTimestamp() / (_time.TimestampFrequency / 1000);

    /// <summary>
    /// The same clock at its last beat, which costs no look at it: for what may be some beats early, if those are late. No deadline may.
    /// </summary>
    public long LastBeat => Volatile.Read(ref _lastBeat);

    /// <summary>Connections that are open, idle ones included.</summary>
    public int OpenConnections
    {
        get
        {
            lock (_lock) return _count;
        }
    }

    /// <summary>Connections that were ever made.</summary>
    public long OpenedConnections => Interlocked.Read(ref _opened);

    public void Add(UpstreamConnection connection)
    {
        lock (_lock)
        {
            _opened++;
            if (_count == _connections.Length) Array.Resize(ref _connections, _count * 2);
            connection.HeartbeatSlot = _count;
            _connections[_count++] = connection;
        }
    }

    public void Remove(UpstreamConnection connection)
    {
        lock (_lock)
        {
            var last = _connections[--_count]!;
            _connections[connection.HeartbeatSlot] = last;
            last.HeartbeatSlot = connection.HeartbeatSlot;
            _connections[_count] = null;
        }
    }

    public void Dispose() => _timer.Dispose();

    private void OnBeat()
    {
        UpstreamConnection?[] connections;
        lock (_lock) connections = _connections.AsSpan(0, _count).ToArray();
        // Outside of the lock: closing a connection removes it here.
        var now = Now;
        Volatile.Write(ref _lastBeat, now);
        foreach (var connection in connections)
        {
            connection!.ExpireIfDue(now);
            if (now >= connection.IdleUntil) connection.Instance.Pool.CloseIdle(connection);
        }
    }
}
