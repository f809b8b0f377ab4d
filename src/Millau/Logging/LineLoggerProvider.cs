using Microsoft.Extensions.Logging;

namespace Millau.Logging;

/// <summary>
/// Writes each event as one line, as text or JSON. Loggers may be used from any thread; none of them ever waits for whoever
/// reads the log: lines go through a <see cref="LineQueue"/>.
/// </summary>
internal sealed class LineLoggerProvider : ILoggerProvider
{
    // A burst at DEBUG, or a reader that stalls for a moment.
    private const int Capacity = 256 * 1024;

    private readonly Lock _lock = new();
    private readonly LineBuffer _line = new();
    private readonly LineQueue _queue;
    private readonly LogFormat _format;
    private readonly TimeProvider _time;
    private readonly bool _stacks;

    private LineLoggerProvider(Stream output, LogFormat format, TimeProvider time, bool stacks)
    {
        _queue = new LineQueue(output, Capacity, TimeSpan.Zero, time);
        _queue.LinesDropped += count => Log.LogLinesDropped(CreateLogger("Millau"), count);
        _format = format;
        _time = time;
        _stacks = stacks;
    }

    /// <summary>
    /// Makes the loggers of a process. What the framework has to say is of interest from a warning up only; stacks of
    /// exceptions are written at DEBUG only. Disposing the factory writes what is left, for 2 s at most.
    /// </summary>
    /// <param name="minimum">Events below it are not written.</param>
    /// <param name="format">How a line looks.</param>
    /// <param name="output">Gets whole lines, on a thread of its own; not disposed.</param>
    /// <param name="time">Dates the lines.</param>
    public static ILoggerFactory CreateFactory(LogLevel minimum, LogFormat format, Stream output, TimeProvider time)
    {
        var framework = minimum > LogLevel.Warning ? minimum : LogLevel.Warning;
        var filter = new LoggerFilterOptions { MinLevel = minimum };
        filter.Rules.Add(new LoggerFilterRule(null, "Microsoft", framework, null));
        filter.Rules.Add(new LoggerFilterRule(null, "System", framework, null));
        var factory = new LoggerFactory([], filter);
        factory.AddProvider(new LineLoggerProvider(output, format, time, minimum <= LogLevel.Debug));
        return factory;
    }

    /// <summary>The category is not written: a message says by itself what it is about.</summary>
    public ILogger CreateLogger(string categoryName) =>
        new LineLogger(this, new FloodGuard(_time), !categoryName.StartsWith("Millau", StringComparison.Ordinal));

    public void Dispose() => _queue.Dispose();

    private void Write(in LogEvent happened)
    {
        lock (_lock)
        {
            _line.Begin();
            if (_format == LogFormat.Json) JsonFormat.Write(_line, happened, _stacks);
            else TextFormat.Write(_line, happened, _stacks);
            _queue.TryWrite(_line.End());
        }
    }

    private sealed class LineLogger(LineLoggerProvider provider, FloodGuard guard, bool isFramework) : ILogger
    {
        // Levels are filtered by the factory, which asks this before it formats anything.
        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel))
                return;
            var suppressed = 0L;
            // Whoever asks for DEBUG wants each request.
            var isGuarded = logLevel > LogLevel.Debug && (isFramework || Millau.Log.IsCausedByRequests(eventId));
            if (isGuarded && !guard.Allows(eventId, out suppressed))
                return;
            provider.Write(new LogEvent(provider._time.GetUtcNow(), logLevel, eventId, formatter(state, exception),
                state as IReadOnlyList<KeyValuePair<string, object?>>, exception, suppressed));
        }
    }
}
