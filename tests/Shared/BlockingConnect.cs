using System.Net;
using System.Net.Sockets;

namespace Millau.Tests.Shared;

/// <summary>
/// Connects as a plain client does: a reset that comes after the handshake is a reset, not a connection refused, for which an
/// asynchronous connect takes it. Even here the connect itself may end with it (ConnectionReset), when the server is faster than
/// this thread is to wake.
/// </summary>
internal static class BlockingConnect
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(15);

    /// <summary>Not on the caller's thread, as a full queue makes it wait; up to a deadline.</summary>
    /// <param name="socket">One that has done nothing yet.</param>
    public static Task ConnectBlockingAsync(this Socket socket, EndPoint endPoint) =>
        Task.Run(() => socket.Connect(endPoint)).WaitAsync(Deadline);
}
