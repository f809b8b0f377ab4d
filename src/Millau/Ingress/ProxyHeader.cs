using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Millau.Http1;

namespace Millau.Ingress;

/// <summary>
/// The header of the PROXY protocol, version 1 (text) and 2 (binary), with which a proxy of lower layers says whose connection it
/// passes on. Pure and strict: what is not exactly such a header is refused.
/// </summary>
/// <param name="Length">Bytes of the header.</param>
/// <param name="Source">The client; null if the header does not say, as for a check of the proxy's own.</param>
internal readonly record struct ProxyHeader(int Length, IPEndPoint? Source)
{
    /// <summary>Longest header that is read: version 1 has 107 bytes at most, and version 2 what its extensions need.</summary>
    public const int MaxLength = 4096;

    private const int MaxTextLength = 107;
    private const int BinaryFixed = 16;

    private static ReadOnlySpan<byte> Text => "PROXY "u8;
    private static ReadOnlySpan<byte> Signature => "\r\n\r\n\0\r\nQUIT\n"u8;

    /// <summary>Reads a header from the first bytes of a connection.</summary>
    public static ParseStatus Parse(ReadOnlySpan<byte> bytes, out ProxyHeader header)
    {
        header = default;
        if (StartsWith(bytes, Text)) return ParseText(bytes, out header);
        return StartsWith(bytes, Signature) ? ParseBinary(bytes, out header) : ParseStatus.Invalid;
    }

    private static bool StartsWith(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> start) =>
        bytes.Length < start.Length ? start.StartsWith(bytes) : bytes.StartsWith(start);

    // PROXY TCP4 192.0.2.1 192.0.2.2 5000 80 CR LF
    private static ParseStatus ParseText(ReadOnlySpan<byte> bytes, out ProxyHeader header)
    {
        header = default;
        var end = bytes.IndexOf((byte)'\n');
        if (end < 0) return bytes.Length >= MaxTextLength ? ParseStatus.Invalid : ParseStatus.Incomplete;
        if (end >= MaxTextLength || bytes[end - 1] != '\r') return ParseStatus.Invalid;
        var line = bytes[..(end - 1)];
        if (line.ContainsAnyExceptInRange((byte)' ', (byte)'~')) return ParseStatus.Invalid;
        var parts = Encoding.ASCII.GetString(line).Split(' ');
        if (parts[1] == "UNKNOWN")
        {
            header = new(end + 1, null);
            return ParseStatus.Complete;
        }
        if (parts.Length != 6 || parts[1] is not ("TCP4" or "TCP6")) return ParseStatus.Invalid;
        var family = parts[1] == "TCP4" ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;
        if (!TryAddress(parts[2], family, out var source) || !TryAddress(parts[3], family, out _)
            || !TryPort(parts[4], out var port) || !TryPort(parts[5], out _))
            return ParseStatus.Invalid;
        header = new(end + 1, new IPEndPoint(source, port));
        return ParseStatus.Complete;
    }

    private static ParseStatus ParseBinary(ReadOnlySpan<byte> bytes, out ProxyHeader header)
    {
        header = default;
        if (bytes.Length > 12 && bytes[12] is not (0x20 or 0x21)) return ParseStatus.Invalid;
        if (bytes.Length < BinaryFixed) return ParseStatus.Incomplete;
        var length = BinaryFixed + BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        if (length > MaxLength) return ParseStatus.Invalid;
        if (bytes.Length < length) return ParseStatus.Incomplete;
        var rest = bytes[BinaryFixed..length];
        IPEndPoint? source = null;
        var isLocal = bytes[12] == 0x20;
        switch (bytes[13])
        {
            case 0x00: // not said
                break;
            case 0x11 when rest.Length >= 12: // TCP over IPv4: two addresses, two ports
                source = new IPEndPoint(new IPAddress(rest[..4]), BinaryPrimitives.ReadUInt16BigEndian(rest[8..]));
                rest = rest[12..];
                break;
            case 0x21 when rest.Length >= 36:
                source = new IPEndPoint(new IPAddress(rest[..16]), BinaryPrimitives.ReadUInt16BigEndian(rest[32..]));
                rest = rest[36..];
                break;
            case 0x31 when rest.Length >= 216: // a Unix socket: a client without an address
                rest = rest[216..];
                break;
            default:
                // A check of the proxy's own may say anything, and is to be passed over (section 2.2 of the protocol).
                if (!isLocal) return ParseStatus.Invalid;
                rest = default;
                break;
        }
        // What a connection without addresses has behind them has no form.
        if (source is not null && !HasWholeExtensions(rest)) return ParseStatus.Invalid;
        header = new(length, isLocal ? null : source);
        return ParseStatus.Complete;
    }

    // Type, length of two bytes, value. None is of use here, but they have to fit.
    private static bool HasWholeExtensions(ReadOnlySpan<byte> rest)
    {
        while (!rest.IsEmpty)
        {
            if (rest.Length < 3) return false;
            var length = 3 + BinaryPrimitives.ReadUInt16BigEndian(rest[1..]);
            if (rest.Length < length) return false;
            rest = rest[length..];
        }
        return true;
    }

    private static bool TryAddress(string text, AddressFamily family, out IPAddress address)
    {
        address = IPAddress.None;
        if (text.Contains('%') || text.Contains('[')) return false;
        if (!IPAddress.TryParse(text, out var parsed) || parsed.AddressFamily != family) return false;
        // 1, 010.0.0.1 and 0x7f.0.0.1 are IPv4 addresses to some, and others to others.
        if (family == AddressFamily.InterNetwork && parsed.ToString() != text) return false;
        address = parsed;
        return true;
    }

    private static bool TryPort(string text, out int port)
    {
        port = 0;
        return text.Length is > 0 and <= 5 && (text.Length == 1 || text[0] != '0')
            && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port <= ushort.MaxValue;
    }
}
