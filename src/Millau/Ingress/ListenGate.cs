using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Millau.Ingress;

/// <summary>
/// Closes a port without resetting anybody. The kernel completes connections ahead of <c>accept</c>, and resets those
/// that still wait there when the listener is closed: a client that was not refused, and whose request is lost.
/// </summary>
/// <remarks>
/// So the gate is shut first: a listener that is bound to a network interface that does not exist is found by no packet that
/// asks for a connection, and such a client is refused at once. Handshakes that are under way belong to no interface and
/// are completed; they and what waits already are accepted as before. Linux only, from 5.7 on without any privilege; where it is not
/// to be had the socket is closed as it is.
/// </remarks>
internal static class ListenGate
{
    private const int SolSocket = 1, SoBindToIfIndex = 62, IpProtoTcp = 6, TcpInfo = 11;

    // The kernel numbers interfaces from 1 on.
    private const int NoInterface = int.MaxValue;

    // In a listener's TCP_INFO this field is the number of connections that wait to be accepted.
    private const int UnackedOffset = 24;

    // Column st of /proc/net/tcp: the final ACK of the client is awaited.
    private const string SynReceived = "03";

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    /// <summary>
    /// Lets no new connection begin, and waits until those that have begun are completed and accepted. The accept loop must
    /// go on meanwhile.
    /// </summary>
    /// <param name="listener">Used, not closed.</param>
    /// <param name="limit">How long at most: a client may never end its handshake. Real time, because it is the kernel that is waited for.</param>
    public static async Task ShutAsync(Socket listener, TimeSpan limit)
    {
        try
        {
            if (!OperatingSystem.IsLinux()) return;
            var port = ((IPEndPoint)listener.LocalEndPoint!).Port;
            Shut(listener);
            var started = Stopwatch.GetTimestamp();
            do
            {
                // Once at least: a packet may have found the listener just before.
                await Task.Delay(Pause).ConfigureAwait(false);
            }
            // In the order in which a connection goes through them, so that none is missed.
            while ((IsHandshaking(port) || Waiting(listener) > 0) && Stopwatch.GetElapsedTime(started) < limit);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Not to be had here, or closed by somebody else: then it is closed without.
        }
    }

    private static void Shut(Socket listener)
    {
        Span<byte> index = stackalloc byte[sizeof(int)];
        MemoryMarshal.Write(index, NoInterface);
        listener.SetRawSocketOption(SolSocket, SoBindToIfIndex, index);
    }

    private static int Waiting(Socket listener)
    {
        Span<byte> info = stackalloc byte[UnackedOffset + sizeof(int)];
        return listener.GetRawSocketOption(IpProtoTcp, TcpInfo, info) < info.Length ? 0 : MemoryMarshal.Read<int>(info[UnackedOffset..]);
    }

    private static bool IsHandshaking(int port) => TableHas(port, "/proc/self/net/tcp") || TableHas(port, "/proc/self/net/tcp6");

    private static bool TableHas(int port, string table)
    {
        try
        {
            foreach (var line in File.ReadLines(table))
            {
                if (IsHandshake(line, port)) return true;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // No IPv6 here, or no /proc.
        }
        return false;
    }

    /// <summary>A line of the kernel's table, <c>   0: 0100007F:1F90 0100007F:C350 03 …</c>: number, own address and port, the peer's, state.</summary>
    internal static bool IsHandshake(ReadOnlySpan<char> line, int port)
    {
        NextWord(ref line);
        var local = NextWord(ref line);
        NextWord(ref line);
        return NextWord(ref line).SequenceEqual(SynReceived)
            && int.TryParse(local[(local.LastIndexOf(':') + 1)..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number)
            && number == port;
    }

    private static ReadOnlySpan<char> NextWord(ref ReadOnlySpan<char> line)
    {
        line = line.TrimStart(' ');
        var end = line.IndexOf(' ');
        var word = end < 0 ? line : line[..end];
        line = line[word.Length..];
        return word;
    }
}
