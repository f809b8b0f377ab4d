using System.Collections.Immutable;
using Millau.Tls;

namespace Millau.Routing;

/// <summary>
/// All routes of one moment. Immutable, so that a request reads it once and without a lock; the cost of a look-up does
/// not grow with the number of routes. Tables share the routes of hosts that did not change: no host knows of another.
/// </summary>
internal sealed class RouteTable
{
    public static readonly RouteTable Empty = new(new(StringComparer.OrdinalIgnoreCase), last: null);

    private readonly Dictionary<string, HostRoutes> _hosts;
    private readonly Dictionary<string, HostRoutes>.AlternateLookup<ReadOnlySpan<char>> _byName;
    private readonly HostRoutes? _anyHost;

    /// <summary>By <see cref="HostRoutes.Name"/>, of the hosts that have authorities of their own.</summary>
    private readonly Dictionary<string, ClientDemand> _demands = new(StringComparer.Ordinal);

    // No name with more labels or characters is configured, so none is looked for: this bounds the look-ups that a
    // request can cause, however many labels its host has.
    private readonly int _maxLabels;
    private readonly int _maxLength;

    /// <param name="hosts">
    /// Each by its name, <c>*</c> too; made with <see cref="StringComparer.OrdinalIgnoreCase"/>, not changed any more.
    /// </param>
    /// <param name="last">The table so far, whose demands stay the same objects where they demand the same.</param>
    internal RouteTable(Dictionary<string, HostRoutes> hosts, RouteTable? last)
    {
        _hosts = hosts;
        _byName = hosts.GetAlternateLookup<ReadOnlySpan<char>>();
        _anyHost = hosts.GetValueOrDefault(HostName.Any);
        var demanding = new List<HostRoutes>();
        foreach (var (name, host) in hosts)
        {
            if (!host.Authorities.IsEmpty) demanding.Add(host);
            if (ReferenceEquals(host, _anyHost)) continue;
            _maxLabels = Math.Max(_maxLabels, name.AsSpan().Count('.') + 1);
            _maxLength = Math.Max(_maxLength, name.Length);
        }
        // A parent has fewer characters than its child, and * has no parent: so a parent's demand is known before.
        foreach (var host in demanding.OrderBy(h => ReferenceEquals(h, _anyHost) ? 0 : h.Name.Length))
            _demands.Add(host.Name, Demand(host, last?._demands.GetValueOrDefault(host.Name)));
    }

    /// <summary>Ordered by host, then path; put together anew each time, for people.</summary>
    public IEnumerable<Route> Routes => _hosts.Values.OrderBy(h => h.Name, StringComparer.Ordinal).SelectMany(h => h.Paths.Routes);

    /// <summary>To make the next table of.</summary>
    internal IReadOnlyDictionary<string, HostRoutes> Hosts => _hosts;

    /// <summary>
    /// Begins the walk over the routes that match: the best one first. Host before path; exact host, then the longest
    /// suffix of whole labels, then <c>*</c>; within a host the longest prefix of the path. Allocates nothing.
    /// </summary>
    /// <param name="host">As the client wrote it: any case, with or without port and trailing dot; may be empty.</param>
    /// <param name="path">See <see cref="RequestTarget.Path"/>.</param>
    public RouteWalk Match(ReadOnlySpan<char> host, ReadOnlyMemory<char> path) => new(this, FindHost(host), path);

    /// <summary>
    /// What clients that connect for a host are asked for; null for nothing. A request that no path of the host matches, or whose
    /// instances are down, goes on to the parent: so the demand of that is the host's as well.
    /// </summary>
    public ClientDemand? FindClientDemand(ReadOnlySpan<char> host) => FindDemand(FindHost(host));

    /// <summary>The longest configured suffix of a host, at the end <c>*</c>; null if there is none.</summary>
    internal HostRoutes? FindParent(HostRoutes host)
    {
        if (ReferenceEquals(host, _anyHost))
            return null;
        var dot = host.Name.IndexOf('.');
        return FindLongest(dot < 0 ? [] : host.Name.AsSpan(dot + 1));
    }

    /// <summary>
    /// What a host and its parents ask for: the former demand if that asks for the same, as what handshakes prepared is kept with it.
    /// </summary>
    private ClientDemand Demand(HostRoutes host, ClientDemand? former)
    {
        ImmutableArray<ClientAuthority> all = FindDemand(FindParent(host)) is { } inherited
            ? [.. host.Authorities.Union(inherited.Authorities)] : host.Authorities;
        return former is not null && former.Authorities.AsSpan().SequenceEqual(all.AsSpan()) ? former : new ClientDemand(all);
    }

    private ClientDemand? FindDemand(HostRoutes? host)
    {
        for (; host is not null; host = FindParent(host))
        {
            if (_demands.TryGetValue(host.Name, out var demand))
                return demand;
        }

        return null;
    }

    private HostRoutes? FindHost(ReadOnlySpan<char> written) =>
        _maxLabels == 0 ? _anyHost : FindLongest(LastLabels(HostName.Bare(written)));

    private HostRoutes? FindLongest(ReadOnlySpan<char> host)
    {
        while (!host.IsEmpty)
        {
            if (host.Length <= _maxLength && _byName.TryGetValue(host, out var found))
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

/// <summary>The routes of one configured host. Immutable: tables share it for as long as its services stay the same.</summary>
/// <param name="name">Normal form, or <c>*</c>.</param>
/// <param name="paths">Its routes by path.</param>
/// <param name="authorities">The CAs of its own services that their clients need a certificate of.</param>
internal sealed class HostRoutes(string name, PathTree paths, ImmutableArray<ClientAuthority> authorities)
{
    public string Name => name;

    public PathTree Paths => paths;

    public ImmutableArray<ClientAuthority> Authorities => authorities;
}

/// <summary>
/// The routes that match a request, best first: then a shorter path of the same host, then a shorter host, then
/// <c>*</c>. A value that may be kept across awaits; it belongs to the table that it came from.
/// </summary>
internal struct RouteWalk
{
    private readonly RouteTable _table;
    private readonly ReadOnlyMemory<char> _path;
    private HostRoutes? _host;

    internal RouteWalk(RouteTable table, HostRoutes? host, ReadOnlyMemory<char> path)
    {
        _table = table;
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
            Current = Current.Shorter ?? FindFrom(_table.FindParent(_host!));
        return Current is not null;
    }

    private Route? FindFrom(HostRoutes? host)
    {
        for (; host is not null; host = _table.FindParent(host))
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
