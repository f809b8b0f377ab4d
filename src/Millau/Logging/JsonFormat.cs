using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Millau.Logging;

/// <summary>An event as a program reads it: one object of time, level, event, message, and the message's parameters.</summary>
internal static class JsonFormat
{
    /// <summary>Names that every event has; a parameter of the same name gets an underscore behind it.</summary>
    private static readonly string[] Reserved = ["time", "level", "event", "event_id", "message", "suppressed", "exception"];

    public static void Write(LineBuffer line, in LogEvent happened, bool withStack)
    {
        line.Raw("{\"time\":\""u8);
        line.Date(happened.Time);
        line.Raw("\",\"level\":\""u8);
        line.Raw(Level(happened.Level));
        line.Raw("\",\"event\":"u8);
        line.Json(happened.Id.Name);
        line.Raw(",\"event_id\":"u8);
        line.Value(happened.Id.Id);
        line.Raw(",\"message\":"u8);
        line.Json(happened.Message);
        var parameters = happened.Parameters;
        for (var i = 0; i < parameters.Count; i++)
        {
            // The last one is the message's template.
            if (parameters[i].Key is "{OriginalFormat}" || IsRepeated(parameters, i)) continue;
            line.Raw(","u8);
            line.Json(FieldName(parameters[i].Key));
            line.Raw(":"u8);
            WriteValue(line, parameters[i].Value);
        }
        if (happened.Suppressed > 0)
        {
            line.Raw(",\"suppressed\":"u8);
            line.Value(happened.Suppressed);
        }
        if (happened.Exception is not null)
        {
            line.Raw(",\"exception\":"u8);
            line.Json(happened.Describe(withStack));
        }
        line.Raw("}"u8);
    }

    /// <summary><c>EventId</c> becomes <c>event_id</c>, as keys are written in the text format.</summary>
    public static string FieldName(string parameter)
    {
        var name = new StringBuilder(parameter.Length + 4);
        for (var i = 0; i < parameter.Length; i++)
        {
            if (i > 0 && char.IsAsciiLetterUpper(parameter[i]) && !char.IsAsciiLetterUpper(parameter[i - 1])) name.Append('_');
            name.Append(char.ToLowerInvariant(parameter[i]));
        }
        var result = name.ToString();
        return Reserved.Contains(result) ? result + "_" : result;
    }

    private static bool IsRepeated(IReadOnlyList<KeyValuePair<string, object?>> parameters, int place)
    {
        for (var i = 0; i < place; i++)
            if (FieldName(parameters[i].Key) == FieldName(parameters[place].Key)) return true;
        return false;
    }

    private static void WriteValue(LineBuffer line, object? value)
    {
        switch (value)
        {
            case null:
                line.Raw("null"u8);
                break;
            case int number:
                line.Value(number);
                break;
            case long number:
                line.Value(number);
                break;
            case double number when double.IsFinite(number):
                line.Value(number);
                break;
            case bool flag:
                line.Raw(flag ? "true"u8 : "false"u8);
                break;
            case DateTimeOffset date:
                line.Raw("\""u8);
                line.Date(date);
                line.Raw("\""u8);
                break;
            default:
                line.Json(Convert.ToString(value, CultureInfo.InvariantCulture));
                break;
        }
    }

    private static ReadOnlySpan<byte> Level(LogLevel level) => level switch
    {
        LogLevel.Critical => "FATAL"u8,
        LogLevel.Error => "ERROR"u8,
        LogLevel.Warning => "WARN"u8,
        LogLevel.Information => "INFO"u8,
        _ => "DEBUG"u8,
    };
}
