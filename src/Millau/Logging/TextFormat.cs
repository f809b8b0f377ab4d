using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Millau.Logging;

/// <summary>An event as a person reads it: date, level, message.</summary>
internal static class TextFormat
{
    private const string TemplateKey = "{OriginalFormat}";

    public static void Write(LineBuffer line, in LogEvent happened, bool withStack)
    {
        line.Date(happened.Time);
        line.Raw(Level(happened.Level));
        line.Text(Message(happened));
        if (happened.Suppressed > 0)
        {
            line.Raw(" suppressed="u8);
            line.Value(happened.Suppressed);
        }
        if (happened.Exception is null) return;
        line.Raw(" "u8);
        line.Text(happened.Describe(withStack));
    }

    /// <summary>
    /// The message; if a value holds quotes, filled in anew with these escaped, so that what came from outside cannot pass
    /// for further keys. Only for templates like Millau's own, whose holes have names and no formats.
    /// </summary>
    private static string Message(in LogEvent happened)
    {
        var parameters = happened.Parameters;
        var isPlain = true;
        foreach (var (key, value) in parameters)
            isPlain &= key == TemplateKey || value?.ToString() is not { } text || text.AsSpan().IndexOfAny('"', '\\') < 0;
        if (isPlain || parameters[^1] is not { Key: TemplateKey, Value: string template }) return happened.Message;

        var filled = new StringBuilder();
        var rest = template.AsSpan();
        while (rest.IndexOf('{') is >= 0 and var open)
        {
            var close = rest.IndexOf('}');
            if (close < open || Find(parameters, rest[(open + 1)..close]) is not { } value) return happened.Message;
            filled.Append(rest[..open]);
            var isQuoted = open > 0 && rest[open - 1] == '"';
            filled.Append(isQuoted ? value.Replace("\\", "\\\\").Replace("\"", "\\\"") : value);
            rest = rest[(close + 1)..];
        }
        return filled.Append(rest).ToString();
    }

    private static string? Find(IReadOnlyList<KeyValuePair<string, object?>> parameters, ReadOnlySpan<char> name)
    {
        foreach (var (key, value) in parameters)
            if (name.SequenceEqual(key)) return Convert.ToString(value, CultureInfo.InvariantCulture);
        return null;
    }

    private static ReadOnlySpan<byte> Level(LogLevel level) => level switch
    {
        LogLevel.Critical => " FATAL "u8,
        LogLevel.Error => " ERROR "u8,
        LogLevel.Warning => " WARN  "u8,
        LogLevel.Information => " INFO  "u8,
        _ => " DEBUG "u8,
    };
}
