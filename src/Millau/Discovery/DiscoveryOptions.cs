using System.Collections.Immutable;

namespace Millau.Discovery;

/// <summary>What discovery is given at start.</summary>
internal sealed record DiscoveryOptions
{
    public required EngineEndpoint Endpoint { get; init; }

    /// <summary>The id of the container that Millau runs in; null outside a container.</summary>
    public string? OwnContainerId { get; init; } = OwnContainer.FindId();

    /// <summary>The ports that clients connect to, in the container: published through the mesh, they are worth a word.</summary>
    public ImmutableArray<int> ClientPorts { get; init; } = [];

    public DiscoveryTiming Timing { get; init; } = new();

    /// <summary>Which stack may claim which hosts; null if each may claim all.</summary>
    public HostClaims? AllowedHosts { get; init; }

    /// <summary>Ports that Millau itself listens on, to which no route may lead.</summary>
    public ImmutableArray<int> OwnPorts { get; init; } = [];
}

/// <summary>
/// Every period of discovery. The defaults follow from how Swarm behaves: a task that will stop still serves for one to
/// three seconds after the API says so, and nothing announces it.
/// </summary>
internal sealed record DiscoveryTiming
{
    /// <summary>
    /// Reads of everything may take this part of a processor's time, and so may catalogs made to no purpose: 1 % in all, however
    /// many services there are.
    /// </summary>
    public const int CostShare = 200;

    /// <summary>Connecting to the Engine.</summary>
    public TimeSpan ConnectDeadline { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>A whole call, or the head of the event stream. A manager without quorum hangs for longer.</summary>
    public TimeSpan CallDeadline { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>From an event to the first read: the lists show the change 2 to 12 ms later. Gathers bursts too.</summary>
    public TimeSpan AfterEvent { get; init; } = TimeSpan.FromMilliseconds(25);

    /// <summary>Between reads of the tasks that move; longer when reads are slow.</summary>
    public TimeSpan Follow { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a service is followed after an event at least, settled or not.</summary>
    public TimeSpan Settle { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a service that never settles is followed; it is regained at a twentieth of the time.</summary>
    public TimeSpan FollowBudget { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Between reads of everything; longer when the Engine is slow, so that they stay below 5 % of its time.</summary>
    public TimeSpan Slow { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>The same when the Engine's events cannot be had.</summary>
    public TimeSpan SlowWithoutEvents { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>The longest time between reads of everything, however slow or costly they are.</summary>
    public TimeSpan SlowAtMost { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>A change found by reading that no event announced within this time: the stream is opened anew.</summary>
    public TimeSpan SilentStream { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How often an Engine that is no manager of a Swarm is asked whether it became one.</summary>
    public TimeSpan NoSwarmRetry { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a path that was refused is left alone.</summary>
    public TimeSpan ForbiddenRetry { get; init; } = TimeSpan.FromSeconds(60);

    public TimeSpan BackoffAtLeast { get; init; } = TimeSpan.FromMilliseconds(100);

    public TimeSpan BackoffAtMost { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a removed service stays known but down.</summary>
    public TimeSpan KeepRemoved { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// From the sight of a Swarm task that is to stop to the time from which it is not trusted with what cannot be sent
    /// again. Its SIGTERM comes 3.1 s after the change, which is seen up to 0.3 s late.
    /// </summary>
    public TimeSpan StopNotice { get; init; } = TimeSpan.FromSeconds(2.5);

    /// <summary>How long an event outweighs what the lists say: a container that survived its kill serves again.</summary>
    public TimeSpan EventOutweighs { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>Monotonic time: a clock that is set must not move a schedule.</summary>
internal sealed class MonotonicClock(TimeProvider time)
{
    private readonly long _start = time.GetTimestamp();

    /// <summary>Since the start.</summary>
    public TimeSpan Now => time.GetElapsedTime(_start);
}
