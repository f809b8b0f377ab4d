using System.Collections.Immutable;

namespace Millau.Upstreams;

/// <summary>All services that answer for one host and path: the candidates of one route.</summary>
internal sealed class UpstreamGroup(ImmutableArray<UpstreamService> services)
{
    public ImmutableArray<UpstreamService> Services { get; } = services;
}
