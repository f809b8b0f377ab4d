using System.Buffers;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Millau.Logging;

/// <summary>Composes one line after the other in the same memory. Not for use by two threads at once.</summary>
internal sealed class LineBuffer
{
    private const int InitialCapacity = 512;

    /// <summary>A line is seldom longer; the memory of one that was is given back.</summary>
    private const int MaxKeptCapacity = 16 * 1024;

    private ArrayBufferWriter<byte> _bytes = new(InitialCapacity);

    /// <summary>Writes date and level of a new line.</summary>
    public void Begin(DateTimeOffset time, LogLevel level)
    {
        if (_bytes.Capacity > MaxKeptCapacity)
            _bytes = new ArrayBufferWriter<byte>(InitialCapacity);
        _bytes.ResetWrittenCount();
        var date = _bytes.GetSpan(24);
        time.UtcDateTime.TryFormat(date, out var written, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'");
        _bytes.Advance(written);
        _bytes.Write(Name(level));
    }

    /// <summary>Writes text, with what could end the line or steer a terminal as escapes.</summary>
    public void Append(ReadOnlySpan<char> text)
    {
        while (!text.IsEmpty)
        {
            var plain = 0;
            while (plain < text.Length && !IsUnsafe(text[plain]))
                plain++;
            Encoding.UTF8.GetBytes(text[..plain], _bytes);
            if (plain == text.Length)
                return;

            AppendEscape(text[plain]);
            text = text[(plain + 1)..];
        }
    }

    /// <summary>Writes what went wrong, and by what; nothing for null.</summary>
    public void Append(Exception? exception, bool withStack)
    {
        if (exception is null)
            return;
        if (withStack)
        {
            Append(" ");
            Append(exception.ToString());
            return;
        }

        var separator = " ";
        for (var e = exception; e is not null; e = e.InnerException)
        {
            Append(separator);
            Append(e.GetType().FullName);
            Append(": ");
            Append(e.Message);
            separator = " <- ";
        }
    }

    /// <summary>Ends the line and gives all of it; valid until the next one begins.</summary>
    public ReadOnlySpan<byte> End()
    {
        _bytes.Write("\n"u8);
        return _bytes.WrittenSpan;
    }

    private static ReadOnlySpan<byte> Name(LogLevel level) => level switch
    {
        LogLevel.Critical => " FATAL "u8,
        LogLevel.Error => " ERROR "u8,
        LogLevel.Warning => " WARN  "u8,
        LogLevel.Information => " INFO  "u8,
        _ => " DEBUG "u8,
    };

    /// <summary>C0, DEL, C1, line and paragraph separator, and what changes the direction of text.</summary>
    private static bool IsUnsafe(char c) =>
        char.IsControl(c) || c is (>= '\u2028' and <= '\u202E') or (>= '\u2066' and <= '\u2069');

    private void AppendEscape(char c)
    {
        switch (c)
        {
            case '\n':
                _bytes.Write("\\n"u8);
                break;
            case '\r':
                _bytes.Write("\\r"u8);
                break;
            case '\t':
                _bytes.Write("\\t"u8);
                break;
            default:
                var prefix = c <= '\xFF' ? "\\x"u8 : "\\u"u8;
                _bytes.Write(prefix);
                ((ushort)c).TryFormat(_bytes.GetSpan(4), out var written, c <= '\xFF' ? "x2" : "x4");
                _bytes.Advance(written);
                break;
        }
    }
}
