using System.Collections.Immutable;
using Millau.Discovery;

namespace Millau.Upstreams;

/// <summary>Keeps one <see cref="UpstreamInstance"/> for each instance of the latest catalog.</summary>
internal sealed class UpstreamRegistry
{
    /// <summary>Takes over a new catalog; instances that were known before keep their state.</summary>
    public ImmutableArray<UpstreamService> Apply(ServiceCatalog catalog) =>
        [.. catalog.Services.Select(s => new UpstreamService(s.Name, s.Timeout, s.Retry,
            [.. s.Instances.Select(i => new UpstreamInstance(i.Id, i.Name, i.EndPoint))], s.IsStarting))];
}
