using System.Collections.Immutable;
using Millau.Tls;

namespace Millau.Routing;

/// <summary>
/// All routes of one moment. Immutable, so that a request reads it once and without a lock; the cost of a look-up does
/// not grow with the number of routes.
/// </summary>
internal sealed class RouteTable
{
    public static readonly RouteTable Empty = new(new(StringComparer.OrdinalIgnoreCase), null, []);

    private readonly Dictionary<string, HostRoutes>.AlternateLookup<ReadOnlySpan<char>> _hosts;
    private readonly HostRoutes? _anyHost;

    // No name with more labels or characters is configured, so none is looked for: this bounds the look-ups that a
    // request can cause, however many labels its host has.
    private readonly int _maxLabels;
    private readonly int _maxLength;

    /// <param name="hosts">Each by its name; made with <see cref="StringComparer.OrdinalIgnoreCase"/>, not changed any more.</param>
    /// <param name="anyHost">The routes of <c>*</c>.</param>
    /// <param name="routes">All of them, for people.</param>
    internal RouteTable(Dictionary<string, HostRoutes> hosts, HostRoutes? anyHost, ImmutableArray<Route> routes)
    {
        _hosts = hosts.GetAlternateLookup<ReadOnlySpan<char>>();
        _anyHost = anyHost;
        Routes = routes;
        foreach (var host in hosts.Keys)
        {
            _maxLabels = Math.Max(_maxLabels, host.AsSpan().Count('.') + 1);
            _maxLength = Math.Max(_maxLength, host.Length);
        }
    }

    /// <summary>Ordered by host, then path.</summary>
    public ImmutableArray<Route> Routes { get; }

    /// <summary>
    /// Begins the walk over the routes that match: the best one first. Host before path; exact host, then the longest
    /// suffix of whole labels, then <c>*</c>; within a host the longest prefix of the path. Allocates nothing.
    /// </summary>
    /// <param name="host">As the client wrote it: any case, with or without port and trailing dot; may be empty.</param>
    /// <param name="path">See <see cref="RequestTarget.Path"/>.</param>
    public RouteWalk Match(ReadOnlySpan<char> host, ReadOnlyMemory<char> path) => new(FindHost(host), path);

    /// <summary>What clients that connect for a host are asked for; null for nothing.</summary>
    public ClientDemand? FindClientDemand(ReadOnlySpan<char> host) => FindHost(host)?.ClientDemand;

    private HostRoutes? FindHost(ReadOnlySpan<char> written)
    {
        if (_maxLabels == 0)
            return _anyHost;

        var host = LastLabels(HostName.Bare(written));
        while (!host.IsEmpty)
        {
            if (host.Length <= _maxLength && _hosts.TryGetValue(host, out var found))
                return found;
            var dot = host.IndexOf('.');
            if (dot < 0)
                break;
            host = host[(dot + 1)..];
        }

        return _anyHost;
    }

    /// <summary>The longest suffix that has no more labels than a configured host has.</summary>
    private ReadOnlySpan<char> LastLabels(ReadOnlySpan<char> host)
    {
        var start = host.Length;
        for (var labels = 0; labels < _maxLabels && start >= 0; labels++)
            start = host[..start].LastIndexOf('.');
        return host[(start + 1)..];
    }
}

/// <summary>The routes of one configured host.</summary>
/// <param name="Paths">Its routes by path.</param>
/// <param name="Parent">The longest configured suffix of the host, at the end <c>*</c>; null if there is none.</param>
internal sealed record HostRoutes(PathTree Paths, HostRoutes? Parent)
{
    /// <summary>What its clients are asked for, if one of the routes that a request for it may take wants that; else null.</summary>
    public ClientDemand? ClientDemand { get; init; }
}

/// <summary>
/// The routes that match a request, best first: then a shorter path of the same host, then a shorter host, then
/// <c>*</c>. A value that may be kept across awaits; it belongs to the table that it came from.
/// </summary>
internal struct RouteWalk
{
    private readonly ReadOnlyMemory<char> _path;
    private HostRoutes? _host;

    internal RouteWalk(HostRoutes? host, ReadOnlyMemory<char> path)
    {
        _path = path;
        _host = host;
        Current = FindFrom(host);
    }

    /// <summary>The route to try; null if none matches, or after the last.</summary>
    public Route? Current { get; private set; }

    /// <summary>Goes on to the next best route; false, with <see cref="Current"/> null, after the last.</summary>
    public bool MoveNext()
    {
        if (Current is not null)
            Current = Current.Shorter ?? FindFrom(_host!.Parent);
        return Current is not null;
    }

    private Route? FindFrom(HostRoutes? host)
    {
        for (; host is not null; host = host.Parent)
        {
            if (host.Paths.Find(_path.Span) is { } route)
            {
                _host = host;
                return route;
            }
        }

        return null;
    }
}
