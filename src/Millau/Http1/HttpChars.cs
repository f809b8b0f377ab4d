using System.Buffers;

namespace Millau.Http1;

/// <summary>The character classes of RFC 9110 section 5.6.2 (token) and 5.5 (field values), for bytes and for chars.</summary>
internal static class HttpChars
{
    private const string TokenChars = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    // All controls but HTAB. RFC 9110 section 5.5 calls CR, LF and NUL dangerous; the others have no meaning.
    private const string ControlChars =
        "\0\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008\n\u000b\u000c\r\u000e\u000f\u0010\u0011\u0012\u0013\u0014" +
        "\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f\u007f";

    private static readonly SearchValues<char> TokenChar = SearchValues.Create(TokenChars);
    private static readonly SearchValues<byte> TokenByte = SearchValues.Create(ToBytes(TokenChars));
    private static readonly SearchValues<char> ControlChar = SearchValues.Create(ControlChars);
    private static readonly SearchValues<byte> ControlByte = SearchValues.Create(ToBytes(ControlChars));

    /// <summary>One or more token characters.</summary>
    public static bool IsToken(ReadOnlySpan<char> text) => !text.IsEmpty && !text.ContainsAnyExcept(TokenChar);

    /// <inheritdoc cref="IsToken(ReadOnlySpan{char})"/>
    public static bool IsToken(ReadOnlySpan<byte> text) => !text.IsEmpty && !text.ContainsAnyExcept(TokenByte);

    /// <summary>No control character but HTAB, and nothing that does not fit a byte.</summary>
    public static bool IsFieldValue(ReadOnlySpan<char> text) =>
        !text.ContainsAny(ControlChar) && !text.ContainsAnyExceptInRange('\0', '\u00ff');

    /// <summary>No control character but HTAB.</summary>
    public static bool IsFieldValue(ReadOnlySpan<byte> text) => !text.ContainsAny(ControlByte);

    /// <summary>Visible ASCII without space and <c>#</c>: what a request target consists of.</summary>
    public static bool IsTarget(ReadOnlySpan<char> text) =>
        !text.IsEmpty && !text.ContainsAnyExceptInRange('!', '~') && !text.Contains('#');

    private static byte[] ToBytes(string text)
    {
        var bytes = new byte[text.Length];
        for (var i = 0; i < text.Length; i++) bytes[i] = (byte)text[i];
        return bytes;
    }
}
