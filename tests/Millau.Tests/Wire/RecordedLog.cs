using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;

namespace Millau.Tests.Wire;

/// <summary>Keeps every message, debug ones included.</summary>
internal sealed class RecordedLog : ILoggerFactory, ILogger
{
    private readonly Lock _lock = new();
    private readonly List<(LogLevel Level, string Text)> _entries = [];

    public IReadOnlyList<(LogLevel Level, string Text)> Entries
    {
        get
        {
            lock (_lock) return [.. _entries];
        }
    }

    /// <summary>How many messages match a pattern.</summary>
    public int Count(string pattern) => Entries.Count(e => Regex.IsMatch(e.Text, pattern));

    public Task WaitForAsync(string pattern) =>
        Eventually.TrueAsync(() => Count(pattern) > 0, $"not logged: {pattern}");

    public ILogger CreateLogger(string categoryName) => this;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (_lock) _entries.Add((logLevel, exception is null ? formatter(state, exception) : $"{formatter(state, exception)} {exception}"));
    }

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
    }
}
