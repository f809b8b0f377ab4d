namespace Millau.Upstreams;

/// <summary>
/// The idle connections to one instance, last in, first out: the busy ones stay warm and the others age out.
/// </summary>
internal sealed class UpstreamConnectionPool(UpstreamHeartbeat heartbeat)
{
    /// <summary>Idle connections are closed after this time, well before NAT tables forget them.</summary>
    private const int IdleSeconds = 60;

    private readonly Lock _lock = new();
    private readonly List<UpstreamConnection> _idle = [];
    private bool _closed;

    /// <summary>Connections that lie here.</summary>
    public int Count
    {
        get
        {
            lock (_lock) return _idle.Count;
        }
    }

    /// <summary>Takes the connection that was used last. The caller owns it from then on.</summary>
    public UpstreamConnection? TryRent()
    {
        while (true)
        {
            UpstreamConnection connection;
            lock (_lock)
            {
                if (_idle.Count == 0) return null;
                connection = _idle[^1];
                _idle.RemoveAt(_idle.Count - 1);
            }
            // Race window: it may have ended since; then whoever noticed closes it and the next one is taken.
            if (connection.TryActivate()) return connection;
        }
    }

    /// <summary>Takes over a connection whose request is done, or closes it.</summary>
    public void Return(UpstreamConnection connection)
    {
        if (!connection.TryBecomeIdle(heartbeat.Now + IdleMilliseconds(connection)))
        {
            connection.Dispose();
            return;
        }
        bool ended;
        lock (_lock)
        {
            ended = _closed;
            if (!ended)
            {
                _idle.Add(connection);
                // It may have ended between its going idle and its being in the list, where CloseIdle looked for it. Asked
                // while nobody can take it: what is lent again has begun another receive.
                ended = connection.IsEnded;
            }
        }
        if (ended) CloseIdle(connection);
    }

    /// <summary>
    /// Closes a connection if it is idle: it has ended, received what nobody asked for, or its time is over.
    /// </summary>
    public void CloseIdle(UpstreamConnection connection)
    {
        if (!connection.TryClose()) return;
        lock (_lock)
        {
            var place = _idle.LastIndexOf(connection);
            if (place >= 0) _idle.RemoveAt(place);
        }
    }

    /// <summary>Closes all idle connections, and from now on each one that is returned.</summary>
    public void Close()
    {
        UpstreamConnection[] idle;
        lock (_lock)
        {
            _closed = true;
            idle = [.. _idle];
            _idle.Clear();
        }
        foreach (var connection in idle) connection.TryClose();
    }

    // An instance that says how long it keeps a connection is left a second before it closes it.
    private static long IdleMilliseconds(UpstreamConnection connection)
    {
        var hint = connection.Head.KeepAliveSeconds;
        return hint < 0 ? IdleSeconds * 1000 : Math.Clamp(hint * 1000L - 1000, 500, IdleSeconds * 1000);
    }
}
