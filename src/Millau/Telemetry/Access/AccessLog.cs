using Microsoft.Extensions.Logging;
using Millau.Forwarding;
using Millau.Logging;
using Millau.Telemetry.Metrics;

namespace Millau.Telemetry.Access;

/// <summary>
/// One line for each request, once it has ended. Composed on the request's thread in memory of that thread, handed to a
/// <see cref="LineQueue"/>, and written some time later: a request waits for nobody and allocates nothing.
/// </summary>
internal sealed class AccessLog : IRequestObserver, IDisposable
{
    // Some 20,000 lines: what a busy proxy writes while its reader stalls for a second.
    private const int Capacity = 4 * 1024 * 1024;

    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(100);

    [ThreadStatic]
    private static AccessLine? line;

    private readonly AccessLogFormat _format;
    private readonly LineQueue _queue;
    private readonly TimeProvider _time;

    /// <param name="format">Not <see cref="AccessLogFormat.Off"/>: then there is no access log.</param>
    /// <param name="output">Gets the lines, on a thread of its own; not disposed.</param>
    /// <param name="time">Dates the lines.</param>
    /// <param name="logger">Told of lines that were dropped, once a minute at most.</param>
    public AccessLog(AccessLogFormat format, Stream output, TimeProvider time, ILogger logger)
    {
        _format = format;
        _time = time;
        _queue = new LineQueue(output, Capacity, Linger, time);
        _queue.LinesDropped += count => Log.AccessLinesDropped(logger, count);
    }

    /// <summary>Lines that were dropped since the start, because nobody took those before them.</summary>
    public long Dropped => _queue.Dropped;

    /// <summary>Shows the drops among the metrics.</summary>
    public void AddTo(MetricsRegistry metrics)
    {
        var dropped = metrics.Counter("millau_access_log_dropped_total", "Lines of the access log that were dropped, because nobody took those before them.");
        metrics.BeforeScrape(() => dropped.IncTo(Dropped));
    }

    public void RequestStarted(RequestContext context)
    {
    }

    public void AttemptStarted(RequestContext context)
    {
    }

    public void AttemptAnswered(RequestContext context)
    {
    }

    public void AttemptEnded(RequestContext context, AttemptFailure failure)
    {
    }

    public void RequestEnded(RequestContext context) =>
        _queue.TryWrite((line ??= new AccessLine()).Compose(_format, context, _time));

    /// <summary>Writes what is left, for 2 s at most.</summary>
    public void Dispose() => _queue.Dispose();
}
