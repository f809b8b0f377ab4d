using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace Millau.Transport;

/// <summary>
/// Ports whose connections are served on event loops. Each has one listening socket, whose connections go to the loops in turn: the
/// kernel refuses a port that is taken, no connection waits on a loop that is busy, and one socket can be drained.
/// </summary>
/// <param name="loops">Used, not disposed.</param>
/// <param name="bind">Makes a bound socket.</param>
/// <param name="pool">The connections' buffers.</param>
internal sealed class LoopTransport(EventLoops loops, Func<EndPoint, Socket> bind, MemoryPool<byte> pool, ILogger logger)
    : IConnectionListenerFactory
{
    private const int Backlog = 512;

    // Without a descriptor left, asking again at once would only burn the processor; clients wait in the backlog.
    private static readonly TimeSpan PauseWhenFull = TimeSpan.FromMilliseconds(100);

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        Socket socket;
        try
        {
            socket = bind(endpoint);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(e.Message, e);
        }
        socket.Listen(Backlog);
        return new(new Listener(this, socket));
    }

    private sealed class Listener(LoopTransport owner, Socket socket) : IConnectionListener
    {
        private bool _full;

        public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (true)
            {
                Socket? accepted = null;
                try
                {
                    accepted = await socket.AcceptAsync(cancellationToken).ConfigureAwait(false);
                    _full = false;
                    accepted.NoDelay = true;
                    var connection = new LoopConnection(accepted, owner.Next(), owner.Pool);
                    if (connection.Start()) return connection;
                }
                catch (Exception e) when (e is ObjectDisposedException
                    or SocketException { SocketErrorCode: SocketError.OperationAborted })
                {
                    return null;
                }
                catch (SocketException e) when (e.SocketErrorCode is SocketError.TooManyOpenSockets
                    or SocketError.NoBufferSpaceAvailable)
                {
                    if (!_full) Log.NoMoreConnections(owner.Logger, EndPoint, e.SocketErrorCode);
                    _full = true;
                    await Task.Delay(PauseWhenFull, cancellationToken).ConfigureAwait(false);
                }
                catch (SocketException)
                {
                    // The client went while it waited to be accepted.
                    accepted?.Dispose();
                }
            }
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            socket.Dispose();
            return default;
        }

        public ValueTask DisposeAsync()
        {
            socket.Dispose();
            return default;
        }
    }

    private MemoryPool<byte> Pool => pool;

    private ILogger Logger => logger;

    private EventLoop Next() => loops.Next();
}
