using System.Text;
using Millau.Memory;

namespace Millau.Routing;

/// <summary>Percent-decoding (RFC 3986 section 2.1) of paths, to be compared and never to be sent.</summary>
internal static class PercentEncoding
{
    /// <summary>
    /// Decodes once, as UTF-8. A <c>%</c> that two hexadecimal digits do not follow stands for itself; bytes that are
    /// not UTF-8 become U+FFFD. Gives back <paramref name="written"/> itself where there is nothing to decode.
    /// </summary>
    public static string Decode(string written) =>
        written.Contains('%') ? Decode(written.AsSpan()) : written;

    /// <inheritdoc cref="Decode(string)"/>
    public static string Decode(ReadOnlySpan<char> written)
    {
        var bytes = BufferPool.Shared.Rent(Encoding.UTF8.GetMaxByteCount(written.Length));
        try
        {
            var count = 0;
            while (!written.IsEmpty)
            {
                var plain = written.IndexOf('%');
                if (plain < 0)
                    plain = written.Length;
                count += Encoding.UTF8.GetBytes(written[..plain], bytes.AsSpan(count));
                written = written[plain..];
                if (written.IsEmpty)
                    break;

                if (TryReadEscape(written, out var value))
                {
                    bytes[count++] = value;
                    written = written[3..];
                }
                else
                {
                    bytes[count++] = (byte)'%';
                    written = written[1..];
                }
            }

            return Encoding.UTF8.GetString(bytes, 0, count);
        }
        finally
        {
            BufferPool.Shared.Return(bytes);
        }
    }

    /// <summary>Reads the escape at the beginning of <paramref name="text"/>; false if there is none.</summary>
    public static bool TryReadEscape(ReadOnlySpan<char> text, out byte value)
    {
        if (text.Length >= 3 && text[0] == '%' && char.IsAsciiHexDigit(text[1]) && char.IsAsciiHexDigit(text[2]))
        {
            value = (byte)((HexValue(text[1]) << 4) | HexValue(text[2]));
            return true;
        }

        value = 0;
        return false;
    }

    private static int HexValue(char digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}
