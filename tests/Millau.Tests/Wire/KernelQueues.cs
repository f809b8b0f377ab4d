using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Millau.Tests.Wire;

/// <summary>What the kernel holds of a TCP connection over IPv4 of which both ends are on this machine; Linux.</summary>
internal static class KernelQueues
{
    /// <summary>Bytes that one end has sent and the other has not read yet.</summary>
    /// <param name="socket">Either end.</param>
    /// <param name="bySocket">Sent by this end; else by the other.</param>
    public static long UnderWay(Socket socket, bool bySocket)
    {
        var (own, other) = (Text(socket.LocalEndPoint!), Text(socket.RemoteEndPoint!));
        var (sender, receiver) = bySocket ? (own, other) : (other, own);
        var bytes = 0L;
        foreach (var line in File.ReadLines("/proc/net/tcp").Concat(File.ReadLines("/proc/net/tcp6")))
        {
            // Number, own address, the peer's, state, tx_queue:rx_queue, all in hexadecimal.
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 5 || words[4].Split(':') is not [var unsent, var unread]) continue;
            if (words[1].EndsWith(sender, StringComparison.Ordinal) && words[2].EndsWith(receiver, StringComparison.Ordinal)) bytes += Number(unsent);
            if (words[1].EndsWith(receiver, StringComparison.Ordinal) && words[2].EndsWith(sender, StringComparison.Ordinal)) bytes += Number(unread);
        }
        return bytes;
    }

    // As the kernel's table has it: the address's bytes as a number of this machine, and the port. IPv4 in IPv6 ends so, too.
    private static string Text(EndPoint endPoint)
    {
        var address = (IPEndPoint)endPoint;
        return $"{BitConverter.ToUInt32(address.Address.MapToIPv4().GetAddressBytes()):X8}:{address.Port:X4}";
    }

    private static long Number(string hexadecimal) => long.Parse(hexadecimal, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
