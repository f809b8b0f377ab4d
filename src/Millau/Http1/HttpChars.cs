using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.Intrinsics;

namespace Millau.Http1;

/// <summary>The character classes of RFC 9110 section 5.6.2 (token) and 5.5 (field values), for bytes and for chars.</summary>
internal static class HttpChars
{
    private const string TokenChars = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    // All controls but HTAB. RFC 9110 section 5.5 calls CR, LF and NUL dangerous; the others have no meaning.
    private const string ControlChars =
        "\0\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008\n\u000b\u000c\r\u000e\u000f\u0010\u0011\u0012\u0013\u0014" +
        "\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f\u007f";

    private const byte SmallBit = 0x20;
    private const ulong SmallBits = 0x2020_2020_2020_2020;

    private static readonly SearchValues<char> TokenChar = SearchValues.Create(TokenChars);
    private static readonly SearchValues<char> TargetChar =
        SearchValues.Create([.. Enumerable.Range('!', '~' - '!' + 1).Select(static c => (char)c).Where(static c => c != '#')]);

    private static readonly SearchValues<char> ControlChar = SearchValues.Create(ControlChars);

    // By byte: 1 for a token character.
    private static ReadOnlySpan<byte> TokenTable =>
    [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0,
        0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    /// <summary>One or more token characters.</summary>
    public static bool IsToken(ReadOnlySpan<char> text) => !text.IsEmpty && !text.ContainsAnyExcept(TokenChar);

    /// <inheritdoc cref="IsToken(ReadOnlySpan{char})"/>
    public static bool IsToken(ReadOnlySpan<byte> text) => !text.IsEmpty && TokenLength(text) == text.Length;

    /// <summary>No control character but HTAB, and nothing that does not fit a byte.</summary>
    public static bool IsFieldValue(ReadOnlySpan<char> text) =>
        !text.ContainsAny(ControlChar) && !text.ContainsAnyExceptInRange('\0', '\u00ff');

    /// <summary>No control character but HTAB.</summary>
    public static bool IsFieldValue(ReadOnlySpan<byte> text) => FieldValueLength(text) < 0;

    /// <summary>How many token characters the text begins with.</summary>
    public static int TokenLength(ReadOnlySpan<byte> text)
    {
        var length = 0;
        for (; text.Length - length >= Vector128<byte>.Count; length += Vector128<byte>.Count)
        {
            var others = BeyondNames(Vector128.Create(text[length..]));
            if (others == 0) continue;
            length += BitOperations.TrailingZeroCount(others);
            break;
        }
        while (length < text.Length && TokenTable[text[length]] != 0) length++;
        return length;
    }

    // A bit for each byte that is neither letter, digit nor hyphen, of which nearly all names of fields consist. Not the whole class: its
    // look-up in a vector needs SSSE3, which .NET does not ask of a machine.
    private static uint BeyondNames(Vector128<byte> text)
    {
        // A range is one comparison when it begins with the least number.
        var letters = (text | Vector128.Create(SmallBit)) + Vector128.Create((byte)(0x80 - 'a'));
        var digits = text + Vector128.Create((byte)(0x80 - '0'));
        var others = Vector128.GreaterThan(letters.AsSByte(), Vector128.Create((sbyte)(sbyte.MinValue + 'z' - 'a')))
            & Vector128.GreaterThan(digits.AsSByte(), Vector128.Create((sbyte)(sbyte.MinValue + 9)));
        return Vector128.AndNot(others.AsByte(), Vector128.Equals(text, Vector128.Create((byte)'-'))).ExtractMostSignificantBits();
    }

    /// <summary>How many characters stand before the first control character that is not HTAB; -1 if there is none.</summary>
    public static int FieldValueLength(ReadOnlySpan<byte> text)
    {
        if (text.Length >= Vector128<byte>.Count)
        {
            var last = text.Length - Vector128<byte>.Count;
            for (var i = 0; ; i = Math.Min(i + Vector128<byte>.Count, last))
            {
                var chunk = Vector128.Create(text[i..]);
                var controls = (Vector128.LessThan(chunk, Vector128.Create((byte)' ')) & ~Vector128.Equals(chunk, Vector128.Create((byte)'\t')))
                    | Vector128.Equals(chunk, Vector128.Create((byte)0x7f));
                var stops = controls.ExtractMostSignificantBits();
                if (stops != 0) return i + BitOperations.TrailingZeroCount(stops);
                if (i == last) return -1;
            }
        }
        for (var i = 0; i < text.Length; i++)
            if (text[i] is < (byte)' ' and not (byte)'\t' or 0x7f) return i;
        return -1;
    }

    /// <summary>
    /// Compares without case. Exact for text without control characters, since of all others only letters become what
    /// <paramref name="lower"/> consists of by the bit that makes them small.
    /// </summary>
    /// <param name="text">A token or a field value.</param>
    /// <param name="lower">Small letters, digits and hyphens, two or more.</param>
    public static bool EqualsIgnoreCase(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lower)
    {
        if (text.Length != lower.Length) return false;
        // Whole words, of which the last overlaps with the one before.
        if (lower.Length >= sizeof(ulong))
        {
            var last = lower.Length - sizeof(ulong);
            for (var i = 0; i < last; i += sizeof(ulong))
                if (!IsSameWord(text[i..], lower[i..])) return false;
            return IsSameWord(text[last..], lower[last..]);
        }
        for (var i = 0; i < lower.Length; i++)
            if ((text[i] | SmallBit) != lower[i]) return false;
        return true;
    }

    private static bool IsSameWord(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lower) =>
        (BinaryPrimitives.ReadUInt64LittleEndian(text) | SmallBits) == BinaryPrimitives.ReadUInt64LittleEndian(lower);

    /// <summary>Visible ASCII without space and <c>#</c>: what a request target consists of.</summary>
    public static bool IsTarget(ReadOnlySpan<char> text) => !text.IsEmpty && !text.ContainsAnyExcept(TargetChar);
}
