using System.Security.Cryptography;
using System.Text;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// The part of WebSocket's opening handshake that HTTP/1.1 has and HTTP/2 has not (RFC 6455 section 4, RFC 8441 section 5):
/// a key of the client's, and what only a server that speaks WebSocket answers to it.
/// </summary>
internal static class WebSocketHandshake
{
    public const string Protocol = "websocket";

    private const int KeyBytes = 16;

    /// <summary>A new <c>Sec-WebSocket-Key</c>.</summary>
    public static string NewKey()
    {
        Span<byte> key = stackalloc byte[KeyBytes];
        RandomNumberGenerator.Fill(key);
        return Convert.ToBase64String(key);
    }

    /// <summary>The <c>Sec-WebSocket-Accept</c> that belongs to a key.</summary>
    public static string AcceptFor(string key) =>
        // No secret depends on this hash; it is the one that the protocol names.
        Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));

    /// <summary>The instance's switch of protocols is the answer to this key.</summary>
    public static bool IsAccepted(UpstreamConnection connection, string key)
    {
        var bytes = connection.HeadBytes;
        foreach (var field in connection.Head.Fields)
            if (Ascii.EqualsIgnoreCase(bytes.Slice(field.NameStart, field.NameLength), "sec-websocket-accept"u8))
                return Ascii.Equals(bytes.Slice(field.ValueStart, field.ValueLength), AcceptFor(key));
        return false;
    }
}
