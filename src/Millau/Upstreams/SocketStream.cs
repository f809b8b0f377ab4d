using System.Net;
using System.Net.Sockets;
using Millau.Transport;

namespace Millau.Upstreams;

/// <summary>
/// A connection without TLS: the socket itself, on an event loop where there are such, on the framework's sockets elsewhere.
/// </summary>
internal abstract class SocketStream : UpstreamStream
{
    /// <summary>Connects; until it has ended, nothing else may be called but <see cref="UpstreamStream.Abort"/>.</summary>
    public abstract ValueTask<SocketError> ConnectAsync(EndPoint endPoint);

    /// <param name="family">IPv4 or IPv6.</param>
    /// <param name="loop">Where it is served, by preference that of the client it is for; null for the framework's sockets.</param>
    /// <param name="received">Called when a receive ends that had to wait, before whoever awaits it goes on.</param>
    /// <exception cref="SocketException">No descriptor is left.</exception>
    public static SocketStream Create(AddressFamily family, EventLoop? loop, Action? received) =>
        loop is null ? new PlainStream(family, received) : new LoopStream(family, loop, received);

    // Finds a host that vanished while a response streams: after 15 s of silence, three tries 5 s apart.
    protected static void KeepAlive(Socket socket)
    {
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 15);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
    }
}
