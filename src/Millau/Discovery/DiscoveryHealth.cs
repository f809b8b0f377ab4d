using System.Collections.Immutable;

namespace Millau.Discovery;

/// <summary>How discovery is doing. Immutable, so that any thread may read it.</summary>
/// <param name="IsReachable">The Engine answers, and was read at least once.</param>
/// <param name="LastRead">The last good read, if there was any.</param>
/// <param name="LastError">One line on the last thing that failed; empty if nothing did since the last good read.</param>
internal sealed record DiscoveryHealth(bool IsReachable, DateTimeOffset? LastRead, string LastError)
{
    public static readonly DiscoveryHealth Initial = new(false, null, "not read yet");

    /// <summary>When <see cref="IsReachable"/> became what it is; null before anything was tried.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>What the Engine calls itself, and the version of its API in use; empty before the first connection.</summary>
    public string Server { get; init; } = "";

    public string ApiVersion { get; init; } = "";

    /// <summary>The networks on which instances are reached, in words.</summary>
    public string Networks { get; init; } = "none";

    /// <summary>What keeps the Engine from being seen whole, and what is wrong with Millau's own deployment.</summary>
    public ImmutableArray<Problem> Problems { get; init; } = [];
}
