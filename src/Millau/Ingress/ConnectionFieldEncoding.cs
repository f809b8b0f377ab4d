using System.Text;
using Millau.Http1;

namespace Millau.Ingress;

/// <summary>
/// How Kestrel is given the value of a request's <c>Connection</c> field. Kestrel cuts a list in which it knows just one
/// option down to that option, and with it the names of fields that end at this hop (RFC 9110 section 7.6.1) would be lost.
/// A list that holds both <c>close</c> and <c>keep-alive</c> it leaves as it is, and closes. So a list that names fields is
/// given these two: it costs such a client its connection, after the answer, and nobody else anything.
/// </summary>
internal sealed class ConnectionFieldEncoding : Encoding
{
    /// <summary>For the names of all header fields: bytes in, the same bytes out.</summary>
    public static Encoding? Select(string name) =>
        name.Equals("Connection", StringComparison.OrdinalIgnoreCase) ? Instance : Latin1;

    private static readonly ConnectionFieldEncoding Instance = new();

    private const string BothOptions = ", close, keep-alive";

    public override int GetCharCount(byte[] bytes, int index, int count) =>
        NamesFields(bytes.AsSpan(index, count)) ? count + BothOptions.Length : count;

    public override int GetChars(byte[] bytes, int byteIndex, int byteCount, char[] chars, int charIndex)
    {
        var value = bytes.AsSpan(byteIndex, byteCount);
        var written = Latin1.GetChars(value, chars.AsSpan(charIndex));
        if (!NamesFields(value)) return written;
        BothOptions.CopyTo(chars.AsSpan(charIndex + written));
        return written + BothOptions.Length;
    }

    public override int GetMaxCharCount(int byteCount) => byteCount + BothOptions.Length;

    // Kestrel decodes with this, and never encodes.
    public override int GetByteCount(char[] chars, int index, int count) => count;

    public override int GetBytes(char[] chars, int charIndex, int charCount, byte[] bytes, int byteIndex) =>
        Latin1.GetBytes(chars, charIndex, charCount, bytes, byteIndex);

    public override int GetMaxByteCount(int charCount) => charCount;

    /// <summary>An option that is none of Kestrel's, and no field that ends here in any case.</summary>
    private static bool NamesFields(ReadOnlySpan<byte> value)
    {
        // As long as the longest name that ends here, and one more.
        Span<char> name = stackalloc char[20];
        foreach (var range in value.Split((byte)','))
        {
            var option = value[range].Trim(" \t"u8);
            if (option.IsEmpty || Is(option, "keep-alive"u8) || Is(option, "close"u8) || Is(option, "upgrade"u8)) continue;
            if (option.Length > name.Length) return true;
            Latin1.GetChars(option, name);
            if (HeaderRules.ForRequest(name[..option.Length]) == HeaderRule.Pass) return true;
        }
        return false;
    }

    private static bool Is(ReadOnlySpan<byte> option, ReadOnlySpan<byte> expected) => Ascii.EqualsIgnoreCase(option, expected);
}
