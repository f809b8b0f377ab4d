using System.Net;
using System.Net.Sockets;

namespace Millau.Tests.Shared;

/// <summary>
/// Connects as a plain client does: whoever gets through has connected, whatever comes then. An asynchronous connect asks for the
/// socket's error once it is told, and takes a reset that came meanwhile for a connection refused.
/// </summary>
internal static class BlockingConnect
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(15);

    /// <summary>Not on the caller's thread, as a full queue makes it wait; up to a deadline.</summary>
    /// <param name="socket">One that has done nothing yet.</param>
    public static Task ConnectBlockingAsync(this Socket socket, EndPoint endPoint) =>
        Task.Run(() => Connect(socket, endPoint)).WaitAsync(Deadline);

    private static void Connect(Socket socket, EndPoint endPoint)
    {
        try
        {
            socket.Connect(endPoint);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // It had connected, and was reset before this thread was awake again: without a handshake it is refused. Reads fail.
        }
    }
}
