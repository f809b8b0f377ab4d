using System.Buffers;
using System.Globalization;
using System.Text;

namespace Millau.Logging;

/// <summary>
/// Composes one line after the other in the same memory. Whatever text it is given stays on its line and cannot steer a
/// terminal. Not for use by two threads at once.
/// </summary>
internal sealed class LineBuffer
{
    private const int InitialCapacity = 512;

    /// <summary>A line is seldom longer; the memory of one that was is given back.</summary>
    private const int MaxKeptCapacity = 16 * 1024;

    /// <summary>What has a short escape in JSON, and the letter of it.</summary>
    private const string ShortEscapes = "\"\\\b\f\n\r\t";

    private static ReadOnlySpan<byte> ShortLetters => "\"\\bfnrt"u8;

    private static readonly SearchValues<char> PlainInText = SearchValues.Create([.. Enumerable.Range(' ', 95).Select(c => (char)c)]);
    private static readonly SearchValues<char> PlainInJson =
        SearchValues.Create([.. Enumerable.Range(' ', 95).Select(c => (char)c).Where(c => c is not ('"' or '\\'))]);

    private ArrayBufferWriter<byte> _bytes = new(InitialCapacity);

    /// <summary>Begins a new line.</summary>
    public void Begin()
    {
        if (_bytes.Capacity > MaxKeptCapacity)
            _bytes = new ArrayBufferWriter<byte>(InitialCapacity);
        _bytes.ResetWrittenCount();
    }

    /// <summary>Ends the line and gives all of it; valid until the next one begins.</summary>
    public ReadOnlySpan<byte> End()
    {
        _bytes.Write("\n"u8);
        return _bytes.WrittenSpan;
    }

    /// <summary>Writes bytes as they are.</summary>
    public void Raw(ReadOnlySpan<byte> bytes) => _bytes.Write(bytes);

    /// <summary>Writes text that is ASCII.</summary>
    public void Ascii(ReadOnlySpan<char> text) => Encoding.UTF8.GetBytes(text, _bytes);

    /// <summary>Writes a number, or anything else whose text needs no escapes and at most 64 bytes.</summary>
    public void Value<T>(T value, ReadOnlySpan<char> format = default)
        where T : IUtf8SpanFormattable
    {
        value.TryFormat(_bytes.GetSpan(64), out var written, format, CultureInfo.InvariantCulture);
        _bytes.Advance(written);
    }

    /// <summary>Writes a date as RFC 3339 has it, in UTC, with milliseconds.</summary>
    public void Date(DateTimeOffset time)
    {
        // The round-trip format, less four of its seven decimals: unlike a format of one's own it allocates nothing.
        const int withMilliseconds = 23;
        time.UtcDateTime.TryFormat(_bytes.GetSpan(64), out _, "O", CultureInfo.InvariantCulture);
        _bytes.Advance(withMilliseconds);
        Raw("Z"u8);
    }

    /// <summary>Writes text, with what could end the line or steer a terminal as escapes.</summary>
    public void Text(ReadOnlySpan<char> text)
    {
        while (!text.IsEmpty)
        {
            var plain = PlainLength(text, json: false);
            Encoding.UTF8.GetBytes(text[..plain], _bytes);
            if (plain == text.Length)
                return;
            TextEscape(text[plain]);
            text = text[(plain + 1)..];
        }
    }

    /// <summary>Writes a JSON string, quotes included. What is no valid UTF-16 becomes U+FFFD, as JSON has no word for it.</summary>
    public void Json(ReadOnlySpan<char> text)
    {
        Raw("\""u8);
        while (!text.IsEmpty)
        {
            var plain = PlainLength(text, json: true);
            Encoding.UTF8.GetBytes(text[..plain], _bytes);
            if (plain == text.Length)
                break;
            JsonEscape(text[plain]);
            text = text[(plain + 1)..];
        }
        Raw("\""u8);
    }

    /// <summary>How much of the text stands for itself.</summary>
    private static int PlainLength(ReadOnlySpan<char> text, bool json)
    {
        var start = text.IndexOfAnyExcept(json ? PlainInJson : PlainInText);
        if (start < 0) return text.Length;
        for (var i = start; i < text.Length; i++)
        {
            var c = text[i];
            if (c is >= ' ' and < '\x7f')
            {
                if (json && (c is '"' or '\\')) return i;
            }
            else if (char.IsHighSurrogate(c) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                i++;
            }
            else if (char.IsSurrogate(c) || IsUnsafe(c))
            {
                return i;
            }
        }
        return text.Length;
    }

    /// <summary>C0, DEL, C1, line and paragraph separator, and what changes the direction of text.</summary>
    private static bool IsUnsafe(char c) =>
        char.IsControl(c) || c is (>= '\u2028' and <= '\u202E') or (>= '\u2066' and <= '\u2069') or '\u200E' or '\u200F' or '\u061C';

    private void TextEscape(char c)
    {
        switch (c)
        {
            case '\n':
                Raw("\\n"u8);
                break;
            case '\r':
                Raw("\\r"u8);
                break;
            case '\t':
                Raw("\\t"u8);
                break;
            default:
                Raw(c <= '\xFF' ? "\\x"u8 : "\\u"u8);
                Value((ushort)c, c <= '\xFF' ? "x2" : "x4");
                break;
        }
    }

    // RFC 8259 section 7.
    private void JsonEscape(char c)
    {
        Raw("\\"u8);
        if (ShortEscapes.IndexOf(c) is >= 0 and var place)
        {
            Raw(ShortLetters.Slice(place, 1));
            return;
        }
        Raw("u"u8);
        Value(char.IsSurrogate(c) ? (ushort)0xFFFD : c, "x4");
    }
}
