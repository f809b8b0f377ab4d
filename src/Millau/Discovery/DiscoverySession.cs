using System.Threading.Channels;

namespace Millau.Discovery;

/// <summary>One connection to the Engine, from the greeting to its loss. Used once.</summary>
/// <remarks>
/// Concurrency: the loop runs whatever is posted to its mailbox, and nothing else touches <see cref="DiscoveryState"/>.
/// </remarks>
internal sealed class DiscoverySession(DiscoveryState state)
{
    /// <summary>Full when the loop is behind; then the event stream waits, and with it the Engine.</summary>
    private const int MailboxSize = 1024;

    private readonly Channel<Action> _mailbox = Channel.CreateBounded<Action>(
        new BoundedChannelOptions(MailboxSize) { SingleReader = true });

    private readonly CancellationTokenSource _end = new();
    private readonly HashSet<Task> _running = [];
    private readonly DiscoveryTiming _timing = state.Options.Timing;
    private EngineFault? _lost;
    private bool _hasEvents;
    private bool _isReadingReach;
    private bool _isPinging;
    private bool _hasReadSwarm;
    private bool _hasReadContainers;
    private bool _isGapClosed;
    private TimeSpan _lastEvent;
    private TimeSpan? _suspectSince;

    /// <summary>Runs until the connection is lost; the fault says why.</summary>
    /// <param name="onConnected">Called once the Engine answers and the stream is open.</param>
    /// <param name="cancellation">Ends the session with an <see cref="OperationCanceledException"/>.</param>
    public async Task<EngineFault> RunAsync(Action onConnected, CancellationToken cancellation)
    {
        var registration = cancellation.UnsafeRegister(
            static end => ((CancellationTokenSource)end!).Cancel(), _end);
        EngineEventStream? stream = null;
        try
        {
            if (await state.Engine.NegotiateAsync(cancellation) is { } fault)
                return fault;
            // The stream comes first, so that nothing happens unseen between the reads and its start.
            var events = await state.Engine.OpenEventsAsync(cancellation);
            stream = events.Value;
            if (events.Fault is { Kind: not EngineFaultKind.Forbidden } noStream)
                return noStream;
            var reach = await ReadReachAsync(cancellation);
            if (reach.Value is null)
                return reach.Fault!;
            Log.EngineConnected(
                state.Log, state.Options.Endpoint.Text, state.Engine.Server, state.Engine.ApiVersion);
            state.EventsFault = events.Fault;
            if (events.Fault is { } forbidden)
                Log.PathForbidden(state.Log, forbidden.ToString(), "events, so changes are found by reading alone");
            onConnected();
            state.SetReach(reach.Value);
            _lastEvent = state.Clock.Now;
            state.Swarm.OnConnected(_lastEvent);
            state.Containers.OnConnected();
            _hasEvents = stream is not null;
            if (stream is not null)
                Start(() => PumpAsync(stream));
            await LoopAsync(cancellation);
            return _lost!;
        }
        finally
        {
            // First: what ends the session may get here before its turn to cancel the source, which is gone then.
            await registration.DisposeAsync();
            await _end.CancelAsync();
            _mailbox.Writer.TryComplete();
            stream?.Dispose();
            await Task.WhenAll(_running);
            state.Swarm.OnReadLost();
            state.Containers.OnReadLost();
            // Before what it would cancel.
            await registration.DisposeAsync();
            _end.Dispose();
        }
    }

    private async Task LoopAsync(CancellationToken cancellation)
    {
        await using var timer = state.Time.CreateTimer(
            _ => _mailbox.Writer.TryWrite(static () => { }), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        while (_lost is null)
        {
            StartReads();
            state.PublishIfDue();
            var wait = Min(Min(state.Swarm.NextDue, state.Containers.NextDue) - state.Clock.Now, TimeSpan.FromSeconds(1));
            timer.Change(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
            await _mailbox.Reader.WaitToReadAsync(cancellation);
            while (_mailbox.Reader.TryRead(out var message))
                message();
            if (_suspectSince is { } since && state.Clock.Now - since > _timing.SilentStream)
                _lost ??= new EngineFault(EngineFaultKind.TimedOut, "/events", "the stream keeps silent about changes");
        }
    }

    private void StartReads()
    {
        var now = state.Clock.Now;
        if (state.Swarm.TryStart(now, _hasEvents) is { } readSwarm)
            Start(readSwarm, read =>
            {
                state.Swarm.Apply(read, now, state.Clock.Now);
                _hasReadSwarm = true;
                state.Tally.SwarmRead();
                AfterRead(state.Swarm.HasChanged, state.Swarm.FoundChange, read.Fault);
            });
        if (state.Containers.TryStart(now, _hasEvents) is { } readContainers)
            Start(readContainers, answer =>
            {
                state.Containers.Apply(answer, state.News, now, state.Clock.Now);
                _hasReadContainers = true;
                state.Tally.ContainerRead();
                AfterRead(state.Containers.HasChanged, state.Containers.FoundChange, answer.Fault);
            });
        if (_isReadingReach || !state.TakeReachDue())
            return;
        _isReadingReach = true;
        Start(ReadReachAsync, answer =>
        {
            _isReadingReach = false;
            if (answer.Value is { } reach)
                state.SetReach(reach);
            else
                AfterRead(false, false, answer.Fault);
        });
    }

    private void AfterRead(bool hasChanged, bool foundChange, EngineFault? fault)
    {
        state.IsDirty |= hasChanged;
        state.IsStale = true;
        state.Tally.Error(fault);
        if (!_isGapClosed && _hasReadSwarm && _hasReadContainers)
        {
            _isGapClosed = true;
            state.News.OnGap();
            state.IsDirty = true;
        }

        // Some changes are in the lists seconds before their event, and so is all at the start of a session.
        var now = state.Clock.Now;
        if (foundChange && _hasEvents && now - _lastEvent > _timing.Slow * 2)
            _suspectSince ??= now;
        switch (fault?.Kind)
        {
            case EngineFaultKind.Unreachable:
                _lost ??= fault;
                break;
            case EngineFaultKind.TimedOut:
                AskWhetherAlive();
                break;
            default:
                state.SetHealth();
                break;
        }
    }

    /// <summary>A call that hangs may be an Engine that hangs, or a manager that lost its quorum and nothing else.</summary>
    private void AskWhetherAlive()
    {
        if (_isPinging)
            return;
        _isPinging = true;
        Start(async end => (Fault: await state.Engine.PingAsync(end), 0), answer =>
        {
            _isPinging = false;
            _lost ??= answer.Fault;
            if (_lost is null)
                state.SetHealth();
        });
    }

    private void OnEvent(EventModel happened)
    {
        _lastEvent = state.Clock.Now;
        _suspectSince = null;
        if (state.OnEvent(happened) is not var (containerId, signal))
            return;
        // Apache stops on WINCH, others do something else: only the container's own stop signal tells.
        Start(end => state.Engine.GetContainerAsync(containerId, end), answer =>
        {
            if (StopSignals.Parse(answer.Value?.Config?.StopSignal) == signal)
                state.OnKilled(containerId);
        });
    }

    private async Task PumpAsync(EngineEventStream stream)
    {
        while (true)
        {
            var answer = await stream.ReadAsync(_end.Token);
            await _mailbox.Writer.WriteAsync(
                answer.Value is { } happened ? () => OnEvent(happened) : () => _lost ??= answer.Fault, _end.Token);
            if (answer.Value is null)
                return;
        }
    }

    private Task<EngineAnswer<Reach>> ReadReachAsync(CancellationToken cancellation) =>
        Reach.ReadAsync(state.Engine, state.Options.OwnContainerId, cancellation);

    /// <summary>Runs a read beside the loop; its result is applied by the loop.</summary>
    private void Start<T>(Func<CancellationToken, Task<T>> read, Action<T> apply) => Start(async () =>
    {
        var result = await read(_end.Token);
        await _mailbox.Writer.WriteAsync(() => apply(result), _end.Token);
    });

    private void Start(Func<Task> work)
    {
        _running.RemoveWhere(static t => t.IsCompleted);
        _running.Add(Guarded());

        async Task Guarded()
        {
            try
            {
                await work();
            }
            catch (Exception e) when (_end.IsCancellationRequested
                                      && e is OperationCanceledException or ChannelClosedException)
            {
                // The session is over.
            }
            catch (Exception e)
            {
                Log.DiscoveryFailed(state.Log, e);
                _mailbox.Writer.TryWrite(() =>
                    _lost ??= new EngineFault(EngineFaultKind.BadBody, "", LogText.Clean(e.Message)));
            }
        }
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
