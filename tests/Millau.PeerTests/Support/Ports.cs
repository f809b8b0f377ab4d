using System.Net;
using System.Net.Sockets;

namespace Millau.PeerTests.Support;

/// <summary>Ports for programs that cannot choose one themselves.</summary>
/// <remarks>
/// Below those that the kernel gives to outgoing connections (from 32768 on): with thousands of these, one that was free when it was
/// asked for would soon be taken. Each is given once, from a place that differs from process to process.
/// </remarks>
internal static class Ports
{
    private const int First = 10_000;
    private const int Count = 22_000;

    private static int s_next = Random.Shared.Next(Count);

    /// <summary>Free at the moment of asking; all of one process differ.</summary>
    public static int[] Free(int count) => [.. Enumerable.Range(0, count).Select(_ => Free())];

    /// <inheritdoc cref="Free(int)"/>
    public static int Free()
    {
        for (var i = 0; i < Count; i++)
        {
            var port = First + (int)((uint)Interlocked.Increment(ref s_next) % Count);
            if (IsFree(port)) return port;
        }
        throw new InvalidOperationException("no port is free");
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            socket.Listen();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
