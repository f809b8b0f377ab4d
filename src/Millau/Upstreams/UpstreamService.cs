using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Millau.Tls;

namespace Millau.Upstreams;

/// <summary>A service as the forwarder sees it. Immutable but for <see cref="Counted"/>; its instances outlive it.</summary>
/// <param name="Name">The service's name, unique.</param>
/// <param name="Timeout">How long an attempt may go without progress.</param>
/// <param name="Retry">How long an instance that failed is left out.</param>
/// <param name="Instances">Those that serve or still serve.</param>
/// <param name="IsStarting">The Engine shows an instance on its way up.</param>
internal sealed record UpstreamService(
    string Name,
    TimeSpan Timeout,
    TimeSpan Retry,
    ImmutableArray<UpstreamInstance> Instances,
    bool IsStarting)
{
    /// <summary>A plain request for it is answered with the same address on https.</summary>
    public bool RedirectsToHttps { get; init; }

    /// <summary>The CA that its clients need a certificate of; null if they need none.</summary>
    public ClientAuthority? ClientAuthority { get; init; }

    /// <summary>How to speak TLS with the instances; null if they are spoken to in plain.</summary>
    public InstanceTls? Tls { get; init; }

    /// <summary>Shared by all that a service of this name was and will be.</summary>
    public RetryBudget Retries { get; init; } = new(TimeProvider.System);

    /// <summary>What the one who counts its requests keeps with it, so as to find it at once. Any thread.</summary>
    public object? Counted { get; set; }

    /// <summary>Each is a service at one time: no other is the same.</summary>
    public bool Equals(UpstreamService? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => RuntimeHelpers.GetHashCode(this);
}
