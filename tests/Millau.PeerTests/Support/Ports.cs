using System.Net;
using System.Net.Sockets;

namespace Millau.PeerTests.Support;

/// <summary>Loopback ports for programs that cannot choose one themselves.</summary>
internal static class Ports
{
    /// <summary>Free at the moment of asking; all of one call differ.</summary>
    public static int[] Free(int count)
    {
        var sockets = new List<Socket>();
        try
        {
            for (var i = 0; i < count; i++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                sockets.Add(socket);
                socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            }
            return [.. sockets.Select(s => ((IPEndPoint)s.LocalEndPoint!).Port)];
        }
        finally
        {
            sockets.ForEach(s => s.Dispose());
        }
    }

    public static int Free() => Free(1)[0];
}
