using Microsoft.Extensions.Logging;

namespace Millau.Logging;

/// <summary>One event, as a logger was given it. Lives on the stack of who logs.</summary>
/// <param name="time">When it happened.</param>
/// <param name="level">How bad it is.</param>
/// <param name="id">Number and name of the message.</param>
/// <param name="message">The message with its parameters filled in.</param>
/// <param name="parameters">The parameters by name, and last the message's template; null if there are none.</param>
/// <param name="exception">What went wrong, or null.</param>
/// <param name="suppressed">How many of the same message were not written before this one.</param>
internal readonly ref struct LogEvent(
    DateTimeOffset time, LogLevel level, EventId id, string message,
    IReadOnlyList<KeyValuePair<string, object?>>? parameters, Exception? exception, long suppressed)
{
    public DateTimeOffset Time => time;
    public LogLevel Level => level;
    public EventId Id => id;
    public string Message => message;
    public IReadOnlyList<KeyValuePair<string, object?>> Parameters => parameters ?? [];
    public Exception? Exception => exception;
    public long Suppressed => suppressed;

    /// <summary>What went wrong and by what, in one text; at DEBUG with the stack.</summary>
    public string Describe(bool withStack)
    {
        if (withStack) return exception!.ToString();
        var text = $"{exception!.GetType().FullName}: {exception.Message}";
        for (var e = exception.InnerException; e is not null; e = e.InnerException)
            text += $" <- {e.GetType().FullName}: {e.Message}";
        return text;
    }
}
