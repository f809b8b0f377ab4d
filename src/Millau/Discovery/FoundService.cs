using System.Collections.Immutable;
using System.Net;

namespace Millau.Discovery;

/// <summary>A service as the Engine shows it, before its labels are read and its addresses chosen.</summary>
internal sealed record FoundService
{
    public required ServiceOrigin Origin { get; init; }

    /// <summary>Unique within one origin.</summary>
    public required string Name { get; init; }

    public required IEnumerable<KeyValuePair<string, string?>> Labels { get; init; }

    public required ImmutableArray<FoundInstance> Instances { get; init; }

    /// <summary>Deleted in Docker, though some of its instances still run.</summary>
    public bool IsRemoved { get; init; }

    public bool IsStarting { get; init; }

    /// <summary>A mistake in how it was deployed that is not in the value of one label; empty if there is none.</summary>
    public string Notice { get; init; } = "";

    /// <summary>How many instances are meant to run; null where Docker does not say.</summary>
    public ulong? Wanted { get; init; }

    /// <summary>What Docker says of the last instance that did not come up or did not stay; empty if all is well.</summary>
    public string TaskError { get; init; } = "";

    /// <summary>The TCP ports that its containers expose or the service publishes, as far as known.</summary>
    public ImmutableArray<int> ExposedPorts { get; init; } = [];
}

/// <summary>A task or container that serves, or still serves.</summary>
/// <param name="Id">The task or container id.</param>
/// <param name="Name">For people.</param>
/// <param name="ContainerId">Under which events speak of it; empty if not known.</param>
/// <param name="Phase">What the lists say, events aside.</param>
/// <param name="Addresses">One for each network and address family.</param>
/// <param name="IsOnHostNetwork">Has no address of its own but shares its host's.</param>
internal sealed record FoundInstance(
    string Id,
    string Name,
    string ContainerId,
    InstancePhase Phase,
    ImmutableArray<NetworkAddress> Addresses,
    bool IsOnHostNetwork = false)
{
    /// <summary>Docker's health check failed.</summary>
    public bool IsUnhealthy { get; init; }
}

/// <summary>An address on one network.</summary>
internal readonly record struct NetworkAddress(string NetworkId, string NetworkName, IPAddress Address);

internal enum ServiceOrigin
{
    Swarm,

    /// <summary>Containers that are no Swarm tasks: plain Docker or Compose.</summary>
    Containers,
}
