using System.Collections.Immutable;
using System.Net;

namespace Millau.Discovery;

/// <summary>
/// All services that ask to be routed to, as the Engine shows them at one moment. Immutable; each change in Docker
/// yields a new catalog. What reads a catalog knows nothing of Docker. A service of which nothing changed is the same object in
/// the next catalog, so that readers can pass over it.
/// </summary>
/// <param name="Services">By name.</param>
internal sealed record ServiceCatalog(ImmutableArray<Service> Services)
{
    public static readonly ServiceCatalog Empty = new([]);

    /// <summary>All services that the Engine shows, routed or not, by name; for people, never for routing.</summary>
    public ImmutableArray<SeenService> Seen { get; init; } = [];

    /// <summary>The certificates in labels, those of services that are not routed too: they are shared. Each service once.</summary>
    public ImmutableArray<ServiceCertificate> Certificates { get; init; } = [];

    /// <summary>By content, in order.</summary>
    public bool Equals(ServiceCatalog? other) =>
        other is not null && Services.AsSpan().SequenceEqual(other.Services.AsSpan())
        && Certificates.AsSpan().SequenceEqual(other.Certificates.AsSpan())
        && Seen.AsSpan().SequenceEqual(other.Seen.AsSpan());

    public override int GetHashCode() => HashCode.Combine(Services.Length, Seen.Length);
}

/// <summary>A certificate and its private key as the labels of a service have them; not looked into.</summary>
/// <param name="Service">The service's name, as in <see cref="Service.Name"/> if it is routed.</param>
/// <param name="Certificate">Base64 of PEM, or where that is to be found.</param>
/// <param name="Key">The same. Must not reach a log.</param>
internal sealed record ServiceCertificate(string Service, string Certificate, string Key)
{
    /// <summary>The names that it may be shown for; null for all.</summary>
    public HostClaim? Claim { get; init; }

    /// <summary>Without the key.</summary>
    public override string ToString() => $"certificate of {Service}";
}

/// <summary>One service: what its labels ask for, and its instances.</summary>
internal sealed record Service
{
    /// <summary>Unique within a catalog.</summary>
    public required string Name { get; init; }

    /// <summary>Host names in the form of <see cref="Routing.HostName.Normalize"/>, or <c>*</c>.</summary>
    public required ImmutableArray<string> Hosts { get; init; }

    /// <summary>Path prefix, percent-decoded; starts with <c>/</c>.</summary>
    public required string Path { get; init; }

    /// <summary>How long an attempt may go without progress before the next instance is tried.</summary>
    public required TimeSpan Timeout { get; init; }

    /// <summary>How long an instance that failed is left out.</summary>
    public required TimeSpan Retry { get; init; }

    /// <summary>Those that serve or still serve; none for a service that is known but down.</summary>
    public required ImmutableArray<Instance> Instances { get; init; }

    /// <summary>A plain request for this service is answered with the same address on https.</summary>
    public bool RedirectsToHttps { get; init; }

    /// <summary>TLS with its instances, and certificates of its clients.</summary>
    public TlsLabels Tls { get; init; } = TlsLabels.None;

    /// <summary>The Engine shows an instance on its way up, so a request may wait for it.</summary>
    public bool IsStarting { get; init; }

    /// <summary>
    /// No longer in Docker, and known for a while only. Once it has no instance left, its routes are no routes.
    /// </summary>
    public bool IsRemoved { get; init; }

    /// <summary>By content, hosts and instances in order.</summary>
    public bool Equals(Service? other) =>
        other is not null && Name == other.Name && Path == other.Path && Timeout == other.Timeout
        && Retry == other.Retry && RedirectsToHttps == other.RedirectsToHttps && Tls == other.Tls && IsStarting == other.IsStarting && IsRemoved == other.IsRemoved
        && Hosts.AsSpan().SequenceEqual(other.Hosts.AsSpan())
        && Instances.AsSpan().SequenceEqual(other.Instances.AsSpan());

    public override int GetHashCode() => HashCode.Combine(Name, Path, Instances.Length);
}

/// <summary>One running copy of a service.</summary>
/// <param name="Id">Identity that outlives address changes and is never used again: the task or container id.</param>
/// <param name="Name">Task or container name, for people.</param>
/// <param name="EndPoint">Where it listens, on a network that Millau can reach.</param>
/// <param name="Phase">Whether it is to be used.</param>
internal sealed record Instance(string Id, string Name, IPEndPoint EndPoint, InstancePhase Phase)
{
    /// <summary>
    /// Grows each time Docker reports the instance started or healthy again. What was concluded from failures under a
    /// smaller epoch (such as leaving the instance out for a while) no longer holds; a new start is to be probed again.
    /// </summary>
    public int Epoch { get; init; }
}

/// <summary>Where an instance is in its life, as far as Docker knows.</summary>
internal enum InstancePhase
{
    /// <summary>Meant to serve.</summary>
    Running,

    /// <summary>To be stopped, or found unhealthy; serves for some seconds yet. A last resort.</summary>
    Stopping,

    /// <summary>
    /// Its process has been told to stop, or is about to be. It may close in the middle of a request, so it is given
    /// only what may be sent again.
    /// </summary>
    Closing,
}
