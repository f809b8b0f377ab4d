using Microsoft.Extensions.Logging;

namespace Millau.Discovery;

/// <summary>
/// Watches the Engine for as long as it runs and hands on a new catalog whenever something changed. Never gives up: an
/// Engine that is gone is tried again for ever, and the last good catalog stays in force meanwhile.
/// </summary>
/// <remarks>
/// Concurrency: one loop owns all state and is the only one to publish. Reads and the event stream run beside it and
/// post what they bring to its mailbox, so that an event takes effect at once even while a read hangs.
/// </remarks>
internal sealed class DockerDiscovery : IDisposable
{
    private readonly DiscoveryState _state;
    private readonly DiscoveryTiming _timing;
    private readonly ILogger _log;
    private readonly TimeProvider _time;

    /// <param name="options">Where the Engine is, and every period.</param>
    /// <param name="log">For everything that discovery has to say.</param>
    /// <param name="time">Clock and timers.</param>
    /// <param name="publish">Called with each new catalog, by one thread at a time.</param>
    public DockerDiscovery(DiscoveryOptions options, ILogger log, TimeProvider time, Action<ServiceCatalog> publish)
    {
        _state = new DiscoveryState(options, log, time, publish);
        _timing = options.Timing;
        _log = log;
        _time = time;
    }

    /// <summary>The state of now.</summary>
    public DiscoveryHealth Health => _state.Health;

    /// <summary>What was done so far.</summary>
    public DiscoveryTally Tally => _state.Tally;

    /// <summary>Completes once everything was read and handed on; without an Engine it never does.</summary>
    public Task FirstRead => _state.FirstRead;

    /// <summary>Runs until cancelled; call it once.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        var backoff = _timing.BackoffAtLeast;
        var failures = 0;
        while (!cancellation.IsCancellationRequested)
        {
            var started = _state.Clock.Now;
            var isConnected = false;
            EngineFault fault;
            try
            {
                fault = await new DiscoverySession(_state).RunAsync(
                    () =>
                    {
                        if (failures > 0)
                            _state.Containers.OnEngineRestarted(_state.News, _state.Clock.Now);
                        isConnected = true;
                        failures = 0;
                    }, cancellation);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // A defect, but routes that stand still for ever would be worse than one that is said and retried.
                Log.DiscoveryFailed(_log, e);
                fault = new EngineFault(EngineFaultKind.BadBody, "", e.Message);
            }

            _state.Tally.Error(fault);
            if (isConnected)
                Log.EngineConnectionLost(_log, fault.ToString());
            else if (failures++ == 0)
                Log.EngineUnreachable(_log, _state.Options.Endpoint.Text, fault.ToString());
            else
                Log.EngineStillUnreachable(_log, fault.ToString(), failures);
            _state.SetLost(isConnected, fault.ToString());

            if (isConnected && _state.Clock.Now - started > _timing.BackoffAtMost)
                backoff = _timing.BackoffAtLeast;
            try
            {
                await Task.Delay(backoff, _time, cancellation);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            backoff = backoff * 2 < _timing.BackoffAtMost ? backoff * 2 : _timing.BackoffAtMost;
        }
    }

    public void Dispose() => _state.Engine.Dispose();
}
