using System.Collections.Immutable;
using Millau.Discovery;
using Millau.Tls;
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
            // Nothing matches what is not there any more. One that is merely scaled to 0 still holds its place.
            if (service.IsRemoved && service.Instances.IsEmpty) continue;
            foreach (var host in Distinct(service.Hosts))
            {
                if (!byHost.TryGetValue(host, out var byPath))
                    byHost.Add(host, byPath = new(StringComparer.Ordinal));
                if (!byPath.TryGetValue(service.Path, out var members))
                    byPath.Add(service.Path, members = []);
                members.Add(upstreams[i]);
            }
        }

        var routes = ImmutableArray.CreateBuilder<Route>(upstreams.Length);
        var demands = new Dictionary<string, ImmutableArray<ClientAuthority>>(StringComparer.OrdinalIgnoreCase);
        foreach (var (host, byPath) in byHost)
            demands[host] = [.. byPath.Values.SelectMany(m => m).Select(s => s.ClientAuthority).OfType<ClientAuthority>().Distinct()];
        var trees = new Dictionary<string, PathTree>(byHost.Count, StringComparer.OrdinalIgnoreCase);
        foreach (var host in byHost.Keys.Order(StringComparer.Ordinal))
            trees.Add(host, BuildPaths(host, byHost[host], routes));

        // A parent has fewer characters than its child, so it is made before.
        var hosts = new Dictionary<string, HostRoutes>(byHost.Count, StringComparer.OrdinalIgnoreCase);
        var anyHost = trees.Remove(HostName.Any, out var ofAnyHost) ? ToHost(ofAnyHost, null, demands[HostName.Any]) : null;
        foreach (var (host, paths) in trees.OrderBy(t => t.Key.Length))
            hosts.Add(host, ToHost(paths, FindParent(host, hosts) ?? anyHost, demands[host]));
        return new RouteTable(hosts, anyHost, routes.DrainToImmutable());
    }

    // A request that no path of the host matches, or whose instances are down, goes on to the parent: so the demand of that is
    // the host's as well.
    private static HostRoutes ToHost(PathTree paths, HostRoutes? parent, ImmutableArray<ClientAuthority> own) => new(paths, parent)
    {
        ClientDemand = own.IsEmpty ? parent?.ClientDemand
            : new ClientDemand(parent?.ClientDemand is { } inherited ? [.. own.Union(inherited.Authorities)] : own),
    };

    private static ImmutableArray<string> Distinct(ImmutableArray<string> hosts) =>
        hosts.Length <= 1 ? hosts : [.. hosts.Distinct(StringComparer.OrdinalIgnoreCase)];

    private static PathTree BuildPaths(
        string host, Dictionary<string, List<UpstreamService>> byPath, ICollection<Route> routes)
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
        var byName = hosts.GetAlternateLookup<ReadOnlySpan<char>>();
        for (var dot = host.IndexOf('.'); dot >= 0; dot = host.IndexOf('.', dot + 1))
        {
            if (byName.TryGetValue(host.AsSpan(dot + 1), out var parent))
                return parent;
        }

        return null;
    }
}
