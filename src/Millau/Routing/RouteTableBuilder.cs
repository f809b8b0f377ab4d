using System.Collections.Immutable;
using Millau.Discovery;
using Millau.Tls;
using Millau.Upstreams;

namespace Millau.Routing;

/// <summary>Makes the table of a catalog.</summary>
internal static class RouteTableBuilder
{
    /// <summary>The table of a catalog, of nothing else.</summary>
    /// <param name="catalog">What the services ask for.</param>
    /// <param name="upstreams">The i-th belongs to the i-th service of <paramref name="catalog"/>.</param>
    public static RouteTable Build(ServiceCatalog catalog, ImmutableArray<UpstreamService> upstreams) =>
        Build(RouteTable.Empty, catalog.Services, catalog, upstreams);

    /// <summary>
    /// Puts all services of one host and path into one group, in the catalog's order; those without instances too, so
    /// that they are known to be down. Hosts that no change concerns have the routes that they had.
    /// </summary>
    /// <param name="last">The table so far.</param>
    /// <param name="changed">Services that came, went or differ since, as they were and as they are.</param>
    /// <param name="catalog">What the services ask for.</param>
    /// <param name="upstreams">The i-th belongs to the i-th service of <paramref name="catalog"/>.</param>
    public static RouteTable Build(
        RouteTable last, IEnumerable<Service> changed, ServiceCatalog catalog, ImmutableArray<UpstreamService> upstreams)
    {
        if (upstreams.Length != catalog.Services.Length)
            throw new ArgumentException("each service of the catalog has one upstream service", nameof(upstreams));

        var anew = new Dictionary<string, Dictionary<string, List<UpstreamService>>>(StringComparer.OrdinalIgnoreCase);
        foreach (var service in changed)
        {
            foreach (var host in service.Hosts)
                if (!anew.ContainsKey(host)) anew.Add(host, new(StringComparer.Ordinal));
        }
        for (var i = 0; i < upstreams.Length; i++)
        {
            var service = catalog.Services[i];
            // Nothing matches what is not there any more. One that is merely scaled to 0 still holds its place.
            if (service.IsRemoved && service.Instances.IsEmpty) continue;
            foreach (var host in Distinct(service.Hosts))
            {
                if (!anew.TryGetValue(host, out var byPath)) continue;
                if (!byPath.TryGetValue(service.Path, out var members))
                    byPath.Add(service.Path, members = []);
                members.Add(upstreams[i]);
            }
        }

        var hosts = new Dictionary<string, HostRoutes>(last.Hosts, StringComparer.OrdinalIgnoreCase);
        foreach (var (host, byPath) in anew)
        {
            if (byPath.Count > 0) hosts[host] = BuildHost(host, byPath);
            else hosts.Remove(host);
        }
        return new RouteTable(hosts, last);
    }

    private static HostRoutes BuildHost(string host, Dictionary<string, List<UpstreamService>> byPath)
    {
        var paths = new KeyValuePair<string, UpstreamGroup>[byPath.Count];
        var i = 0;
        foreach (var (path, members) in byPath)
            paths[i++] = new(path, new UpstreamGroup([.. members]));
        Array.Sort(paths, static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        return new HostRoutes(host, PathTree.Build(host, paths),
            [.. byPath.Values.SelectMany(m => m).Select(s => s.ClientAuthority).OfType<ClientAuthority>().Distinct()]);
    }

    private static ImmutableArray<string> Distinct(ImmutableArray<string> hosts) =>
        hosts.Length <= 1 ? hosts : [.. hosts.Distinct(StringComparer.OrdinalIgnoreCase)];
}
