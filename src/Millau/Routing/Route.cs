using Millau.Upstreams;

namespace Millau.Routing;

/// <summary>One host and path, and all services that answer for them. Immutable.</summary>
internal sealed class Route(string host, string path, UpstreamGroup group)
{
    /// <summary>In the form of <see cref="HostName.Normalize"/>, or <c>*</c>.</summary>
    public string Host { get; } = host;

    /// <summary>Prefix, percent-decoded.</summary>
    public string Path { get; } = path;

    public UpstreamGroup Group { get; } = group;

    /// <summary>The route of the same host with the longest path that this one's path starts with.</summary>
    internal Route? Shorter { get; init; }

    public override string ToString() => Host + Path;
}
