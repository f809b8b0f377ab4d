using Microsoft.Extensions.Logging;

namespace Millau.Logging;

/// <summary>
/// Writes each event as one line of UTF-8: <c>2026-11-23T15:04:05.123Z INFO  message</c>. Whatever a message holds, it
/// stays on its line and cannot steer a terminal. Loggers may be used from any thread; a line costs its thread one
/// write and no more.
/// </summary>
internal sealed class LineLoggerProvider : ILoggerProvider
{
    private readonly Lock _lock = new();
    private readonly Stream _output;
    private readonly TimeProvider _time;
    private readonly bool _stacks;
    private readonly LineBuffer _line = new();

    private LineLoggerProvider(Stream output, TimeProvider time, bool stacks)
    {
        _output = output;
        _time = time;
        _stacks = stacks;
    }

    /// <summary>
    /// Makes the loggers of a process. What the framework has to say is of interest from a warning up only; stacks of
    /// exceptions are written at DEBUG only.
    /// </summary>
    /// <param name="minimum">Events below it are not written.</param>
    /// <param name="output">Gets whole lines, one write each; not disposed.</param>
    /// <param name="time">Dates the lines.</param>
    public static ILoggerFactory CreateFactory(LogLevel minimum, Stream output, TimeProvider time)
    {
        var framework = minimum > LogLevel.Warning ? minimum : LogLevel.Warning;
        var filter = new LoggerFilterOptions { MinLevel = minimum };
        filter.Rules.Add(new LoggerFilterRule(null, "Microsoft", framework, null));
        filter.Rules.Add(new LoggerFilterRule(null, "System", framework, null));
        return new LoggerFactory([new LineLoggerProvider(output, time, minimum <= LogLevel.Debug)], filter);
    }

    /// <summary>The category is not written: a message says by itself what it is about.</summary>
    public ILogger CreateLogger(string categoryName) => new LineLogger(this);

    public void Dispose()
    {
    }

    private void Write(LogLevel level, string message, Exception? exception)
    {
        lock (_lock)
        {
            _line.Begin(_time.GetUtcNow(), level);
            _line.Append(message);
            _line.Append(exception, _stacks);
            try
            {
                _output.Write(_line.End());
            }
            catch (IOException)
            {
                // Nobody reads the log any more; that is no reason to stop serving.
            }
        }
    }

    private sealed class LineLogger(LineLoggerProvider provider) : ILogger
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
            if (IsEnabled(logLevel))
                provider.Write(logLevel, formatter(state, exception), exception);
        }
    }
}
