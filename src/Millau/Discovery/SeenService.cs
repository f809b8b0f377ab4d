using System.Collections.Immutable;

namespace Millau.Discovery;

/// <summary>
/// A service as the Engine shows it, routed or not, with what is wrong with it. For people, never for routing.
/// </summary>
internal sealed record SeenService
{
    /// <summary>As in Docker; a Swarm service and plain containers may have the same.</summary>
    public required string Name { get; init; }

    public required ServiceOrigin Origin { get; init; }

    /// <summary>Its <see cref="Service.Name"/> in the catalog; null when it is not routed.</summary>
    public string? RoutedAs { get; init; }

    /// <summary>Why it is not routed, in a few words; empty if it is.</summary>
    public string Reason { get; init; } = "";

    /// <summary>Its millau labels by name; key material is hidden.</summary>
    public ImmutableArray<SeenLabel> Labels { get; init; } = [];

    /// <summary>The port in force; null when it is not routed.</summary>
    public int? Port { get; init; }

    /// <summary>How many instances are meant to run; null where Docker does not say.</summary>
    public ulong? Wanted { get; init; }

    /// <summary>The TCP ports that its containers expose or the service publishes, as far as known: hints, no more.</summary>
    public ImmutableArray<int> ExposedPorts { get; init; } = [];

    /// <summary>Instances that Docker found unhealthy, by <see cref="Instance.Id"/>.</summary>
    public ImmutableArray<string> Unhealthy { get; init; } = [];

    /// <summary>What Docker's side of it tells; the worst first.</summary>
    public ImmutableArray<Problem> Problems { get; init; } = [];

    /// <summary>By content, all in order.</summary>
    public bool Equals(SeenService? other) =>
        other is not null && Name == other.Name && Origin == other.Origin && RoutedAs == other.RoutedAs
        && Reason == other.Reason && Port == other.Port && Wanted == other.Wanted
        && Labels.AsSpan().SequenceEqual(other.Labels.AsSpan())
        && ExposedPorts.AsSpan().SequenceEqual(other.ExposedPorts.AsSpan())
        && Unhealthy.AsSpan().SequenceEqual(other.Unhealthy.AsSpan())
        && Problems.AsSpan().SequenceEqual(other.Problems.AsSpan());

    public override int GetHashCode() => HashCode.Combine(Name, Origin, Problems.Length);
}

/// <summary>A label as it may be shown: no key material, no control characters.</summary>
internal readonly record struct SeenLabel(string Name, string Value);
