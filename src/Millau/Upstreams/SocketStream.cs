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

    // How a host is found that vanished while a response streams. In seconds, but for the tries.
    protected const int Silence = 15, Interval = 5, Tries = 3;

    protected static void KeepAlive(Socket socket)
    {
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, Silence);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, Interval);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, Tries);
    }
}
