namespace Millau.Discovery;

/// <summary>How discovery is doing. Immutable, so that any thread may read it.</summary>
/// <param name="IsReachable">The Engine answers, and was read at least once.</param>
/// <param name="LastRead">The last good read, if there was any.</param>
/// <param name="LastError">One line on the last thing that failed; empty if nothing did since the last good read.</param>
internal sealed record DiscoveryHealth(bool IsReachable, DateTimeOffset? LastRead, string LastError)
{
    public static readonly DiscoveryHealth Initial = new(false, null, "not read yet");
}
