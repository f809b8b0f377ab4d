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

    public RouteTable Table => _table;

    /// <summary>
    /// Makes a catalog effective. One caller at a time. First the new routes, then the end of what they no longer lead
    /// to: so no request finds an instance whose connections are closed already.
    /// </summary>
    public void Apply(ServiceCatalog catalog)
    {
        var update = upstreams.Take(catalog);
        _table = RouteTableBuilder.Build(catalog, update.Services);
        upstreams.Finish(update);
    }
}
