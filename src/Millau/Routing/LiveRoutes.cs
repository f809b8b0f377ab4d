using System.Collections.Immutable;
using Millau.Discovery;
using Millau.Upstreams;

namespace Millau.Routing;

/// <summary>
/// The routes as they stand. A request reads <see cref="Table"/> once for each choice it makes; discovery swaps it with
/// one write.
/// </summary>
internal sealed class LiveRoutes(UpstreamRegistry upstreams)
{
    private volatile RouteTable _table = RouteTable.Empty;
    private volatile RoutesSnapshot _snapshot = RoutesSnapshot.Empty;

    // What the next changes are changes of. None after a failure, which may have lost some: then all is made anew.
    private RouteTable? _last = RouteTable.Empty;

    public RouteTable Table => _table;

    /// <summary>What the table was made of, for people. Requests do not read it.</summary>
    public RoutesSnapshot Snapshot => _snapshot;

    /// <summary>
    /// Makes a catalog effective, for the price of what differs from the one before. One caller at a time. First the new routes,
    /// then the end of what they no longer lead to: so no request finds an instance whose connections are closed already.
    /// </summary>
    public void Apply(ServiceCatalog catalog)
    {
        var last = _last;
        _last = null;
        var update = upstreams.Take(catalog);
        var table = last is null
            ? RouteTableBuilder.Build(catalog, update.Services)
            : RouteTableBuilder.Build(last, update.Changed, catalog, update.Services);
        _table = _last = table;
        _snapshot = new RoutesSnapshot(catalog, update.Services);
        upstreams.Finish(update);
    }
}

/// <summary>What the routes of one moment were made of. Immutable, but for the state of the instances.</summary>
/// <param name="Catalog">What discovery found.</param>
/// <param name="Upstreams">The i-th belongs to the i-th service of the catalog.</param>
internal sealed record RoutesSnapshot(ServiceCatalog Catalog, ImmutableArray<UpstreamService> Upstreams)
{
    public static readonly RoutesSnapshot Empty = new(ServiceCatalog.Empty, []);
}
