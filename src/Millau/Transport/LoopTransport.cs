using System.Buffers;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Millau.Transport;

/// <summary>Ports whose connections are accepted and served on event loops.</summary>
/// <param name="loops">Used, not disposed.</param>
/// <param name="pool">The connections' buffers.</param>
/// <param name="logger">For a port that cannot accept.</param>
internal sealed class LoopTransport(EventLoops loops, MemoryPool<byte> pool, ILogger logger) : ITransport
{
    private const int Backlog = 512;

    public ValueTask<IAccepting> ListenAsync(Socket socket, AcceptedConnection accepted)
    {
        // Both for the connections' sake, which have the options of the socket they were accepted on, and for its own.
        socket.NoDelay = true;
        socket.Blocking = false;
        socket.Listen(Backlog);
        return new(new LoopPort(socket, loops, pool, accepted, logger));
    }
}
