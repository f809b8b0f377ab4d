using Millau.Transport;

namespace Millau.Upstreams;

/// <summary>
/// The idle connections to one instance. A client gets one of its own event loop if there is one, so that its request stays on one
/// thread; else one of the first loop that has any. Within a loop it is last in, first out: the busy ones stay warm and the others
/// age out.
/// </summary>
internal sealed class UpstreamConnectionPool(UpstreamHeartbeat heartbeat)
{
    /// <summary>Idle connections are closed after this time, well before NAT tables forget them.</summary>
    private const int IdleSeconds = 60;

    private readonly Lock _lock = new();

    // Those of each event loop; the first place is of those on none. It grows with its use: most instances of a large Swarm have none.
    private List<UpstreamConnection>?[] _idle = [];
    private bool _closed;

    /// <summary>Connections that lie here.</summary>
    public int Count
    {
        get
        {
            var count = 0;
            lock (_lock)
            {
                foreach (var list in _idle) count += list?.Count ?? 0;
            }
            return count;
        }
    }

    /// <summary>Takes a connection, of those of its loop the one that was used last. The caller owns it from then on.</summary>
    /// <param name="loop">One of this loop is preferred: with any other, request and answer change threads.</param>
    public UpstreamConnection? TryRent(EventLoop? loop)
    {
        while (true)
        {
            UpstreamConnection connection;
            lock (_lock)
            {
                if (FindIdle(Place(loop)) is not { } idle) return null;
                connection = idle[^1];
                idle.RemoveAt(idle.Count - 1);
            }
            // Race window: it may have ended since; then whoever noticed closes it and the next one is taken.
            if (connection.TryActivate()) return connection;
        }
    }

    /// <summary>Takes over a connection whose request is done, or closes it.</summary>
    public void Return(UpstreamConnection connection)
    {
        if (!connection.TryBecomeIdle(heartbeat.LastBeat + IdleMilliseconds(connection)))
        {
            connection.Dispose();
            return;
        }
        bool ended;
        lock (_lock)
        {
            // Race window: whoever noticed its end has closed it since, and looked for it here in vain.
            if (!connection.IsIdle) return;
            ended = _closed;
            if (!ended)
            {
                var place = Place(connection.Loop);
                if (place >= _idle.Length) Array.Resize(ref _idle, place + 1);
                (_idle[place] ??= []).Add(connection);
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
            var place = Place(connection.Loop);
            // Race window: it closed while it was on its way here.
            if (place < _idle.Length) _idle[place]?.Remove(connection);
        }
    }

    /// <summary>Closes all idle connections, and from now on each one that is returned.</summary>
    public void Close()
    {
        UpstreamConnection[] idle;
        lock (_lock)
        {
            _closed = true;
            idle = [.. _idle.SelectMany(static list => list ?? [])];
            _idle = [];
        }
        foreach (var connection in idle) connection.TryClose();
    }

    private List<UpstreamConnection>? FindIdle(int preferred)
    {
        if (preferred < _idle.Length && _idle[preferred] is { Count: > 0 } own) return own;
        foreach (var other in _idle)
        {
            if (other is { Count: > 0 }) return other;
        }
        return null;
    }

    private static int Place(EventLoop? loop) => loop is null ? 0 : loop.Number + 1;

    // An instance that says how long it keeps a connection is left a second before it closes it.
    private static long IdleMilliseconds(UpstreamConnection connection)
    {
        var hint = connection.Head.KeepAliveSeconds;
        return hint < 0 ? IdleSeconds * 1000 : Math.Clamp(hint * 1000L - 1000, 500, IdleSeconds * 1000);
    }
}
