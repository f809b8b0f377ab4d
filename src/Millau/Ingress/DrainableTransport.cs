using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Millau.Ingress;

/// <summary>
/// A transport that can stop accepting long before its connections are closed. Kestrel alone closes idle connections
/// in the same moment as its listeners, and so fails the requests that clients are just sending on them.
/// </summary>
internal sealed class DrainableTransport(IConnectionListenerFactory inner) : IConnectionListenerFactory
{
    private readonly Lock _lock = new();
    private readonly List<Listener> _listeners = [];
    private readonly List<Socket> _sockets = [];
    private int _open;

    /// <summary>Connections of clients that are open.</summary>
    public int OpenConnections => Volatile.Read(ref _open);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var listener = new Listener(await inner.BindAsync(endpoint, cancellationToken).ConfigureAwait(false), this);
        lock (_lock) _listeners.Add(listener);
        return listener;
    }

    /// <summary>Remembers a socket that a listener accepts on.</summary>
    public Socket Keep(Socket listening)
    {
        lock (_lock) _sockets.Add(listening);
        return listening;
    }

    /// <summary>Stops accepting: new clients are refused, nobody is reset. Open connections go on.</summary>
    public async Task StopAcceptingAsync()
    {
        Listener[] listeners;
        Socket[] sockets;
        lock (_lock) (listeners, sockets) = ([.. _listeners], [.. _sockets]);
        await Task.WhenAll(sockets.Select(ListenGate.ShutAsync)).ConfigureAwait(false);
        foreach (var listener in listeners) await listener.UnbindAsync().ConfigureAwait(false);
    }

    private void Track(ConnectionContext connection)
    {
        Interlocked.Increment(ref _open);
        connection.ConnectionClosed.UnsafeRegister(static state => Interlocked.Decrement(ref ((DrainableTransport)state!)._open), this);
    }

    private sealed class Listener(IConnectionListener inner, DrainableTransport owner) : IConnectionListener
    {
        private int _unbound;

        public EndPoint EndPoint => inner.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            var connection = await inner.AcceptAsync(cancellationToken).ConfigureAwait(false);
            if (connection is not null) owner.Track(connection);
            return connection;
        }

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            if (Interlocked.Exchange(ref _unbound, 1) == 0)
                await inner.UnbindAsync(cancellationToken).ConfigureAwait(false);
        }

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
