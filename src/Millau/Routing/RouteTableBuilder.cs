using System.Collections.Immutable;
using Millau.Discovery;
using Millau.Upstreams;

namespace Millau.Routing;

/// <summary>Makes the table of a catalog.</summary>
internal static class RouteTableBuilder
{
    /// <summary>
    /// Puts all services of one host and path into one group, in the catalog's order; those without instances too, so
    /// that they are known to be down.
    /// </summary>
    /// <param name="catalog">What the services ask for.</param>
    /// <param name="upstreams">The i-th belongs to the i-th service of <paramref name="catalog"/>.</param>
    public static RouteTable Build(ServiceCatalog catalog, ImmutableArray<UpstreamService> upstreams)
    {
        if (upstreams.Length != catalog.Services.Length)
            throw new ArgumentException("each service of the catalog has one upstream service", nameof(upstreams));

        var byHost = new Dictionary<string, Dictionary<string, List<UpstreamService>>>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i < upstreams.Length; i++)
        {
            var service = catalog.Services[i];
            foreach (var host in service.Hosts.Distinct(StringComparer.OrdinalIgnoreCase))
            {
                if (!byHost.TryGetValue(host, out var byPath))
                    byHost.Add(host, byPath = new(StringComparer.Ordinal));
                if (!byPath.TryGetValue(service.Path, out var members))
                    byPath.Add(service.Path, members = []);
                members.Add(upstreams[i]);
            }
        }

        // A parent has fewer characters than its child, so it is made before.
        var routes = new List<Route>();
        var hosts = new Dictionary<string, HostRoutes>(StringComparer.OrdinalIgnoreCase);
        HostRoutes? anyHost = null;
        if (byHost.Remove(HostName.Any, out var ofAnyHost))
            anyHost = new HostRoutes(BuildPaths(HostName.Any, ofAnyHost, routes), null);
        foreach (var (host, byPath) in byHost.OrderBy(h => h.Key.Length))
            hosts.Add(host, new HostRoutes(BuildPaths(host, byPath, routes), FindParent(host, hosts) ?? anyHost));

        routes.Sort(static (a, b) => string.CompareOrdinal(a.Host, b.Host) is var c and not 0
            ? c
            : string.CompareOrdinal(a.Path, b.Path));
        return new RouteTable(hosts, anyHost, [.. routes]);
    }

    private static PathTree BuildPaths(
        string host, Dictionary<string, List<UpstreamService>> byPath, List<Route> routes)
    {
        var paths = new KeyValuePair<string, UpstreamGroup>[byPath.Count];
        var i = 0;
        foreach (var (path, members) in byPath)
            paths[i++] = new(path, new UpstreamGroup([.. members]));
        Array.Sort(paths, static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        return PathTree.Build(host, paths, routes);
    }

    private static HostRoutes? FindParent(string host, Dictionary<string, HostRoutes> hosts)
    {
        for (var dot = host.IndexOf('.'); dot >= 0; dot = host.IndexOf('.', dot + 1))
        {
            if (hosts.TryGetValue(host[(dot + 1)..], out var parent))
                return parent;
        }

        return null;
    }
}
