using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>
/// A transport that can stop accepting long before its connections are closed, so that no request fails that a client is just
/// sending on one.
/// </summary>
internal sealed class DrainableTransport : IConnectionListenerFactory
{
    private readonly IConnectionListenerFactory _inner;
    private readonly Lock _lock = new();
    private readonly List<Listener> _listeners = [];
    private readonly List<Socket> _sockets = [];
    private int _open;

    /// <param name="inner">Is given what makes the sockets to accept on.</param>
    public DrainableTransport(Func<Func<EndPoint, Socket>, IConnectionListenerFactory> inner) =>
        _inner = inner(endPoint => Keep(SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint)));

    /// <summary>On event loops, or on the framework's sockets where there are none.</summary>
    /// <param name="loops">Used, not disposed.</param>
    /// <param name="pool">The connections' buffers.</param>
    public static DrainableTransport Create(EventLoops? loops, MemoryPool<byte> pool, ILoggerFactory logging) => new(bind =>
    {
        if (loops is not null) return new LoopTransport(loops, bind, pool, logging.CreateLogger("Millau.Transport"));
        var options = new SocketTransportOptions
        {
            // Continuations run on the thread that saw the socket become ready: nothing on a request's way blocks, and each hop to
            // another thread costs more than the work itself.
            UnsafePreferInlineScheduling = true,
            // A flush is over when the kernel has all of it: its buffers are enough, and so the end of a connection is known.
            MaxWriteBufferSize = 1,
            CreateBoundListenSocket = bind,
        };
        return new SocketTransportFactory(Options.Create(options), logging);
    });

    /// <summary>
    /// How long clients whose connection has begun are waited for: it is theirs at once, or when a packet that got lost was sent again.
    /// </summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Connections of clients that are open.</summary>
    public int OpenConnections => Volatile.Read(ref _open);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var listener = new Listener(await _inner.BindAsync(endpoint, cancellationToken).ConfigureAwait(false), this);
        lock (_lock) _listeners.Add(listener);
        return listener;
    }

    // A socket that a listener accepts on.
    private Socket Keep(Socket listening)
    {
        lock (_lock) _sockets.Add(listening);
        return listening;
    }

    /// <summary>
    /// Stops accepting: new clients are refused, nobody is reset. Open connections go on. Whoever was accepted is among
    /// <see cref="OpenConnections"/> when it returns.
    /// </summary>
    public async Task StopAcceptingAsync()
    {
        Listener[] listeners;
        Socket[] sockets;
        lock (_lock) (listeners, sockets) = ([.. _listeners], [.. _sockets]);
        await Task.WhenAll(sockets.Select(s => ListenGate.ShutAsync(s, Patience))).ConfigureAwait(false);
        foreach (var listener in listeners) await listener.UnbindAsync().ConfigureAwait(false);
        await Task.WhenAll(listeners.Select(l => l.AllAccepted)).WaitAsync(Patience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void Track(ConnectionContext connection)
    {
        Interlocked.Increment(ref _open);
        connection.ConnectionClosed.UnsafeRegister(static state => Interlocked.Decrement(ref ((DrainableTransport)state!)._open), this);
    }

    private sealed class Listener(IConnectionListener inner, DrainableTransport owner) : IConnectionListener
    {
        private readonly TaskCompletionSource _allAccepted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _unbound;

        public EndPoint EndPoint => inner.EndPoint;

        /// <summary>Ends when the last connection has been handed over: the server has asked once more, and there is none.</summary>
        public Task AllAccepted => _allAccepted.Task;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            ConnectionContext? connection = null;
            try
            {
                connection = await inner.AcceptAsync(cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                // Counted before anybody can learn that it was the last.
                if (connection is not null) owner.Track(connection);
                else _allAccepted.TrySetResult();
            }
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
