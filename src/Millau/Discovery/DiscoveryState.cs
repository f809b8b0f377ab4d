using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace Millau.Discovery;

/// <summary>
/// All that discovery knows, from connection to connection. Owned by the loop of the current
/// <see cref="DiscoverySession"/>; only <see cref="Health"/> and <see cref="FirstRead"/> are for other threads.
/// </summary>
internal sealed class DiscoveryState
{
    private readonly Action<ServiceCatalog> _publish;
    private readonly CatalogBuilder _builder;
    private readonly TaskCompletionSource _firstRead = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // The latest catalog, until it was taken over without an error.
    private ServiceCatalog? _unpublished;
    private TimeSpan? _askReachAt;
    private string? _reachFault;
    private bool _isReachDue;
    private TimeSpan _nextLook = TimeSpan.Zero;
    private ImmutableArray<int> _meshPorts = [];
    private volatile DiscoveryHealth _health = DiscoveryHealth.Initial;

    public DiscoveryState(DiscoveryOptions options, ILogger log, TimeProvider time, Action<ServiceCatalog> publish)
    {
        Options = options;
        Log = log;
        Time = time;
        Clock = new MonotonicClock(time);
        Engine = new EngineClient(options.Endpoint, options.Timing, time);
        Swarm = new SwarmWatcher(Engine, options.Timing, log);
        Containers = new ContainerWatcher(Engine, options.Timing, log);
        News = new ContainerNews(options.Timing.EventOutweighs);
        _builder = new CatalogBuilder(options, log);
        _publish = publish;
    }

    public DiscoveryOptions Options { get; }
    public ILogger Log { get; }
    public TimeProvider Time { get; }
    public MonotonicClock Clock { get; }
    public EngineClient Engine { get; }
    public SwarmWatcher Swarm { get; }
    public ContainerWatcher Containers { get; }
    public ContainerNews News { get; }
    public DiscoveryTally Tally { get; } = new();
    public Reach Reach { get; private set; } = Reach.Nothing;

    /// <summary>Something changed since the last catalog was made.</summary>
    public bool IsDirty { get; set; }

    /// <summary>Something may have changed that nobody watches, such as periods that have passed: to be looked at when that is cheap.</summary>
    public bool IsStale { get; set; }

    public Task FirstRead => _firstRead.Task;

    public DiscoveryHealth Health => _health;

    /// <summary>Why there is no event stream, though there is a connection; null if there is one.</summary>
    public EngineFault? EventsFault { get; set; }

    private bool HasRead => Swarm.HasRead && Containers.HasRead;

    private EngineFault? Fault => Swarm.Fault ?? Containers.Fault;

    /// <summary>After a read: the Engine answers. It counts once all was read, also if a part is old since.</summary>
    public void SetHealth() => SetHealth(
        HasRead,
        Fault is null && HasRead ? Time.GetUtcNow() : Health.LastRead,
        Fault?.ToString() ?? (HasRead ? "" : Health.LastError));

    /// <summary>After the connection was lost, or not made. A stream that merely ended is no outage.</summary>
    public void SetLost(bool wasConnected, string error) =>
        SetHealth(wasConnected && Health.IsReachable, Health.LastRead, error);

    private void SetHealth(bool isReachable, DateTimeOffset? lastRead, string lastError)
    {
        var since = Health.IsReachable == isReachable ? Health.Since : null;
        _health = new DiscoveryHealth(isReachable, lastRead, lastError)
        {
            Since = since ?? Time.GetUtcNow(),
            Server = Engine.Server,
            ApiVersion = Engine.ApiVersion,
            Networks = Reach.Describe(),
            Problems = [.. Problems(isReachable, lastError)],
        };
    }

    private IEnumerable<Problem> Problems(bool isReachable, string lastError)
    {
        if (!isReachable)
            yield return EngineProblems.Unreachable(Options.Endpoint.Text, lastError);
        if (Swarm.Complaint is { } swarm)
            yield return EngineProblems.OfList(swarm, "Swarm services");
        if (Containers.Complaint is { } containers)
            yield return EngineProblems.OfList(containers, "plain containers");
        if (EventsFault is { } events)
            yield return EngineProblems.Forbidden(events, "changes are found by reading alone, twice a second");
        if (Reach.Fault is { } networks)
            yield return EngineProblems.OwnNetworksUnknown(networks, Reach.Describe());
        var mesh = Reach.OwnServiceId is { } own ? Swarm.MeshPortsOf(own, Options.ClientPorts) : [];
        if (!mesh.AsSpan().SequenceEqual(_meshPorts.AsSpan()) && !mesh.IsEmpty)
            Millau.Log.OwnPortsInMesh(Log, string.Join(',', mesh));
        _meshPorts = mesh;
        if (!mesh.IsEmpty)
            yield return EngineProblems.IngressMode(mesh);
    }

    /// <summary>Takes over which networks can be reached; a guess does not replace what is known.</summary>
    public void SetReach(Reach reach)
    {
        _askReachAt = reach.Fault is null ? null : Clock.Now + Options.Timing.ForbiddenRetry;
        if (reach.Fault is { } fault && _reachFault != fault.ToString())
            Millau.Log.OwnNetworksUnknown(Log, fault.ToString(), reach.Describe());
        _reachFault = reach.Fault?.ToString();
        if (reach.Fault is not null && !Reach.Networks.IsEmpty)
            return;
        if (reach.Fault is null && reach.Describe() != Reach.Describe())
            Millau.Log.OwnNetworks(Log, reach.Describe());
        Reach = reach;
        IsDirty = true;
    }

    /// <summary>Whether the own networks are to be read now.</summary>
    public bool TakeReachDue()
    {
        var isDue = _isReachDue || _askReachAt <= Clock.Now;
        _isReachDue = false;
        if (isDue)
            _askReachAt = null;
        return isDue;
    }

    /// <summary>Makes a catalog when something changed, or time alone may have changed what is true.</summary>
    public void PublishIfDue()
    {
        var now = Clock.Now;
        var isDue = IsDirty || _builder.NextChange <= now || Swarm.IsAwaitOver(now);
        if (!isDue && (now < _nextLook || !(IsStale || News.IsAnyInForce(now))))
            return;
        // Half a picture at start would route requests to the wrong group; later the last good one stands in.
        if (!HasRead && Fault is null && !_firstRead.Task.IsCompleted)
            return;
        IsDirty = false;
        IsStale = false;
        var found = Swarm.Found(Containers, now).Concat(Containers.Found());
        _unpublished = _builder.Build(found, Reach, News, now) ?? _unpublished;
        var done = Clock.Now;
        var pause = (done - now) * DiscoveryTiming.CostShare;
        _nextLook = done + (pause < Options.Timing.SlowAtMost ? pause : Options.Timing.SlowAtMost);
        if (_unpublished is { } catalog)
        {
            _publish(catalog);
            _unpublished = null;
        }
        if (HasRead)
            _firstRead.TrySetResult();
    }

    /// <summary>
    /// Takes an event in. Gives back the id of a container that got a signal of which only its stop signal tells whether
    /// it is to end; else null.
    /// </summary>
    public (string ContainerId, int Signal)? OnEvent(EventModel happened)
    {
        if (happened.Actor is not { Id: { Length: > 0 } id } actor || happened.Action is not { } action)
            return null;
        Tally.Event(happened.Type);
        Millau.Log.EngineEvent(Log, happened.Type, action, id);
        switch (happened.Type)
        {
            case "service":
                Swarm.OnServiceEvent(id, Clock.Now);
                break;
            case "node":
                Swarm.OnNodeEvent(id, Clock.Now);
                break;
            case "container":
                return OnContainerEvent(id, action, actor.Attributes);
            case "network":
                OnNetworkEvent(action, actor.Attributes);
                break;
        }

        return null;
    }

    public void OnKilled(string containerId)
    {
        News.OnKill(containerId, Clock.Now);
        IsDirty = true;
    }

    private (string, int)? OnContainerEvent(string id, string action, Dictionary<string, string?>? attributes)
    {
        var now = Clock.Now;
        IsDirty = true;
        Containers.OnContainerEvent(now);
        if (attributes?.GetValueOrDefault("com.docker.swarm.service.id") is { Length: > 0 } serviceId)
            Swarm.OnContainerEvent(serviceId, now);
        switch (action)
        {
            case "kill":
                var signal = StopSignals.Parse(attributes?.GetValueOrDefault("signal"));
                if (!StopSignals.EndsAnyContainer(signal))
                    return signal == 0 ? null : (id, signal);
                News.OnKill(id, now);
                break;
            case "die":
                News.OnDie(id, now);
                Containers.OnDie(id);
                break;
            case "start":
                News.OnStart(id, now);
                break;
            case "health_status: unhealthy":
                News.OnUnhealthy(id, now);
                break;
            case "health_status: healthy":
                News.OnHealthy(id, now);
                break;
        }

        return null;
    }

    private void OnNetworkEvent(string action, Dictionary<string, string?>? attributes)
    {
        if (action is "connect" or "disconnect")
        {
            _isReachDue |= attributes?.GetValueOrDefault("container") is { } container
                          && container == Options.OwnContainerId;
            Containers.OnContainerEvent(Clock.Now);
        }
        else
        {
            _isReachDue |= Reach.IsHost;
        }
    }
}
