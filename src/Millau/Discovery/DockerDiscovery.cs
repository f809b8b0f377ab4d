using System.Threading.Channels;
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
    private readonly EngineClient _engine;
    private readonly DiscoveryOptions _options;
    private readonly DiscoveryTiming _timing;
    private readonly ILogger _log;
    private readonly TimeProvider _time;
    private readonly MonotonicClock _clock;
    private readonly Action<ServiceCatalog> _publish;
    private readonly TaskCompletionSource _firstRead = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly SwarmWatcher _swarm;
    private readonly ContainerWatcher _containers;
    private readonly ContainerNews _news;
    private readonly CatalogBuilder _builder;
    private Reach _reach = Reach.Nothing;
    private volatile DiscoveryHealth _health = DiscoveryHealth.Initial;

    /// <param name="options">Where the Engine is, and every period.</param>
    /// <param name="log">For everything that discovery has to say.</param>
    /// <param name="time">Clock and timers.</param>
    /// <param name="publish">Called with each new catalog, by one thread at a time.</param>
    public DockerDiscovery(DiscoveryOptions options, ILogger log, TimeProvider time, Action<ServiceCatalog> publish)
    {
        _options = options;
        _timing = options.Timing;
        _log = log;
        _time = time;
        _clock = new MonotonicClock(time);
        _publish = publish;
        _engine = new EngineClient(options.Endpoint, options.Timing, time);
        _swarm = new SwarmWatcher(_engine, options.Timing, log);
        _containers = new ContainerWatcher(_engine, options.Timing, log);
        _news = new ContainerNews(options.Timing.EventOutweighs);
        _builder = new CatalogBuilder(options.Timing, log);
    }

    /// <summary>The state of now.</summary>
    public DiscoveryHealth Health => _health;

    /// <summary>Completes once everything was read and handed on; without an Engine it never does.</summary>
    public Task FirstRead => _firstRead.Task;

    /// <summary>Runs until cancelled; call it once.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        var backoff = _timing.BackoffAtLeast;
        var failures = 0;
        while (!cancellation.IsCancellationRequested)
        {
            var started = _clock.Now;
            var isConnected = false;
            EngineFault fault;
            try
            {
                fault = await new DiscoverySession(this).RunAsync(
                    () =>
                    {
                        if (failures > 0)
                            _containers.OnEngineRestarted(_news, _clock.Now);
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

            if (isConnected)
                Log.EngineConnectionLost(_log, fault.ToString());
            else if (failures++ == 0)
                Log.EngineUnreachable(_log, _options.Endpoint.Text, fault.ToString());
            else
                Log.EngineStillUnreachable(_log, fault.ToString(), failures);
            // A stream that merely ended is no outage; an Engine that cannot be connected to is.
            _health = _health with { IsReachable = isConnected && _health.IsReachable, LastError = fault.ToString() };

            if (isConnected && _clock.Now - started > _timing.BackoffAtMost)
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

    public void Dispose() => _engine.Dispose();

    /// <summary>One connection to the Engine, from the greeting to its loss.</summary>
    private sealed class DiscoverySession(DockerDiscovery owner)
    {
        private readonly Channel<Action> _mailbox = Channel.CreateBounded<Action>(
            new BoundedChannelOptions(1024) { SingleReader = true });

        private readonly HashSet<Task> _running = [];
        private readonly CancellationTokenSource _end = new();
        private EngineFault? _lost;
        private bool _hasEvents;
        private bool _isDirty;
        private bool _isReachDue;
        private bool _isReachBeingRead;
        private bool _isPinging;
        private TimeSpan _lastEvent;
        private TimeSpan? _suspectSince;

        /// <summary>Runs until the connection is lost; the fault says why.</summary>
        public async Task<EngineFault> RunAsync(Action onConnected, CancellationToken cancellation)
        {
            await using var registration = cancellation.UnsafeRegister(
                static end => ((CancellationTokenSource)end!).Cancel(), _end);
            if (await owner._engine.NegotiateAsync(cancellation) is { } fault)
                return fault;
            // The stream comes first, so that nothing happens unseen between the read and its start.
            var events = await owner._engine.OpenEventsAsync(cancellation);
            if (events.Fault is { Kind: not EngineFaultKind.Forbidden } noStream)
                return noStream;
            var reach = await Reach.ReadAsync(owner._engine, owner._options.OwnContainerId, owner._log, cancellation);
            if (reach.Value is null)
            {
                events.Value?.Dispose();
                return reach.Fault!;
            }

            SetReach(reach.Value);
            Log.EngineConnected(owner._log, owner._options.Endpoint.Text, owner._engine.Server, owner._engine.ApiVersion);
            onConnected();
            _hasEvents = events.Value is not null;
            _lastEvent = owner._clock.Now;
            if (events.Fault is { } forbidden)
                Log.PathForbidden(owner._log, forbidden.ToString(), "events: changes are found by reading alone");
            owner._news.OnGap();
            owner._swarm.OnConnected(owner._clock.Now);
            owner._containers.OnConnected();
            try
            {
                if (events.Value is { } stream)
                    Start(() => PumpAsync(stream));
                await LoopAsync(cancellation);
                return _lost!;
            }
            finally
            {
                await _end.CancelAsync();
                _mailbox.Writer.TryComplete();
                events.Value?.Dispose();
                await Task.WhenAll(_running);
                owner._swarm.OnReadLost();
                owner._containers.OnReadLost();
                _end.Dispose();
            }
        }

        private async Task LoopAsync(CancellationToken cancellation)
        {
            await using var timer = owner._time.CreateTimer(
                _ => _mailbox.Writer.TryWrite(static () => { }), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            while (_lost is null)
            {
                StartReads();
                var now = owner._clock.Now;
                if (_isDirty || owner._news.IsAnyInForce(now))
                    Publish(now);
                var wait = Min(Min(owner._swarm.NextDue, owner._containers.NextDue) - now, TimeSpan.FromSeconds(1));
                timer.Change(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
                await _mailbox.Reader.WaitToReadAsync(cancellation);
                while (_mailbox.Reader.TryRead(out var message))
                    message();
                now = owner._clock.Now;
                if (_suspectSince is { } since && now - since > owner._timing.SilentStream)
                    _lost = new EngineFault(EngineFaultKind.TimedOut, "/events", "the stream is silent about changes");
            }
        }

        private void StartReads()
        {
            var now = owner._clock.Now;
            if (owner._swarm.TryStart(now, _hasEvents) is { } readSwarm)
                Start(readSwarm, read =>
                {
                    owner._swarm.Apply(read, now, owner._clock.Now);
                    AfterRead(owner._swarm.FoundChange, read.Fault);
                });
            if (owner._containers.TryStart(now, _hasEvents) is { } readContainers)
                Start(readContainers, answer =>
                {
                    owner._containers.Apply(answer, owner._news, now, owner._clock.Now);
                    AfterRead(owner._containers.FoundChange, answer.Fault);
                });
            if (_isReachDue && !_isReachBeingRead)
            {
                _isReachDue = false;
                _isReachBeingRead = true;
                Start(end => Reach.ReadAsync(owner._engine, owner._options.OwnContainerId, owner._log, end), answer =>
                {
                    _isReachBeingRead = false;
                    if (answer.Value is { } reach)
                        SetReach(reach);
                    else
                        AfterRead(false, answer.Fault);
                });
            }
        }

        private void AfterRead(bool foundChange, EngineFault? fault)
        {
            _isDirty = true;
            if (fault is { Kind: EngineFaultKind.Unreachable })
                _lost ??= fault;
            else if (fault is { Kind: EngineFaultKind.TimedOut } && !_isPinging)
                AskWhetherAlive();
            var now = owner._clock.Now;
            // One list may stay ahead of its event for some seconds, and so does the first read of a session.
            if (foundChange && _hasEvents && now - _lastEvent > owner._timing.Slow * 2)
                _suspectSince ??= now;
            if (_lost is null && fault is not { Kind: EngineFaultKind.TimedOut })
                SetHealth();
        }

        /// <summary>A call that hangs may be an Engine that hangs, or one manager's lost quorum alone.</summary>
        private void AskWhetherAlive()
        {
            _isPinging = true;
            Start(async end => (await owner._engine.PingAsync(end), 0), answer =>
            {
                _isPinging = false;
                _lost ??= answer.Item1;
                if (_lost is null)
                    SetHealth();
            });
        }

        private void SetHealth()
        {
            var fault = owner._swarm.Fault ?? owner._containers.Fault;
            var hasRead = owner._swarm.HasRead && owner._containers.HasRead;
            owner._health = new DiscoveryHealth(
                hasRead,
                fault is null && hasRead ? owner._time.GetUtcNow() : owner._health.LastRead,
                fault?.ToString() ?? (hasRead ? "" : owner._health.LastError));
        }

        private void SetReach(Reach reach)
        {
            if (reach.Describe() != owner._reach.Describe())
                Log.OwnNetworks(owner._log, reach.Describe());
            owner._reach = reach;
            _isDirty = true;
        }

        private void Publish(TimeSpan now)
        {
            _isDirty = false;
            // Half a picture at start would route requests to the wrong group; later the last good one stands in.
            var hasBoth = owner._swarm.HasRead && owner._containers.HasRead;
            if (!hasBoth && !owner._firstRead.Task.IsCompleted
                && (owner._swarm.Fault ?? owner._containers.Fault) is null)
                return;
            var found = owner._swarm.Found(owner._containers.AddressesOf, now).Concat(owner._containers.Found());
            if (owner._builder.Build(found, owner._reach, owner._news, now) is { } catalog)
                owner._publish(catalog);
            if (hasBoth)
                owner._firstRead.TrySetResult();
        }

        private void OnEvent(EventModel happened)
        {
            var now = owner._clock.Now;
            _lastEvent = now;
            _suspectSince = null;
            if (happened.Actor is not { Id: { Length: > 0 } id } actor || happened.Action is not { } action)
                return;
            Log.EngineEvent(owner._log, happened.Type, action, id);
            switch (happened.Type)
            {
                case "service":
                    owner._swarm.OnServiceEvent(id, now);
                    break;
                case "node":
                    owner._swarm.OnNodeEvent(id, now);
                    break;
                case "container":
                    OnContainerEvent(id, action, actor.Attributes, now);
                    break;
                case "network":
                    OnNetworkEvent(action, actor.Attributes, now);
                    break;
            }
        }

        private void OnContainerEvent(string id, string action, Dictionary<string, string?>? attributes, TimeSpan now)
        {
            switch (action)
            {
                case "kill":
                    OnKill(id, StopSignals.Parse(attributes?.GetValueOrDefault("signal")));
                    break;
                case "die":
                    owner._news.OnDie(id, now);
                    owner._containers.OnDie(id);
                    break;
                case "start":
                    owner._news.OnStart(id, now);
                    break;
                case "health_status: unhealthy":
                    owner._news.OnUnhealthy(id, now);
                    break;
                case "health_status: healthy":
                    owner._news.OnHealthy(id, now);
                    break;
            }

            _isDirty = true;
            owner._containers.OnContainerEvent(now);
            if (attributes?.GetValueOrDefault("com.docker.swarm.service.id") is { Length: > 0 } serviceId)
                owner._swarm.OnContainerEvent(serviceId, now);
        }

        private void OnKill(string id, int signal)
        {
            if (StopSignals.EndsAnyContainer(signal))
            {
                owner._news.OnKill(id, owner._clock.Now);
                return;
            }

            // Apache stops on WINCH, others reload on it: only the container's own stop signal tells.
            Start(end => owner._engine.GetContainerAsync(id, end), answer =>
            {
                if (signal == 0 || StopSignals.Parse(answer.Value?.Config?.StopSignal) != signal)
                    return;
                owner._news.OnKill(id, owner._clock.Now);
                _isDirty = true;
            });
        }

        private void OnNetworkEvent(string action, Dictionary<string, string?>? attributes, TimeSpan now)
        {
            if (action is "connect" or "disconnect")
            {
                _isReachDue |= attributes?.GetValueOrDefault("container") == owner._options.OwnContainerId;
                owner._containers.OnContainerEvent(now);
            }
            else
            {
                _isReachDue |= owner._reach.IsHost;
            }
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
                    Log.DiscoveryFailed(owner._log, e);
                    _mailbox.Writer.TryWrite(() =>
                        _lost ??= new EngineFault(EngineFaultKind.BadBody, "", Say.Clean(e.Message)));
                }
            }
        }

        private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
    }
}
