using Millau.Upstreams;

namespace Millau.Routing;

/// <summary>
/// The routes of one host, as a tree whose edges are pieces of their paths. Looking up walks along the request's path
/// once, whatever the number of routes.
/// </summary>
internal sealed class PathTree
{
    private readonly string _piece;
    private readonly Route? _route;

    /// <summary>First characters of the children's pieces, ascending, side by side for a quick search.</summary>
    private readonly char[] _firsts;
    private readonly PathTree[] _children;

    private PathTree(string piece, Route? route, char[] firsts, PathTree[] children)
    {
        _piece = piece;
        _route = route;
        _firsts = firsts;
        _children = children;
    }

    /// <summary>The route with the longest path that <paramref name="path"/> starts with.</summary>
    public Route? Find(ReadOnlySpan<char> path)
    {
        Route? best = null;
        var node = this;
        while (path.StartsWith(node._piece))
        {
            path = path[node._piece.Length..];
            best = node._route ?? best;
            if (path.IsEmpty)
                break;
            var child = node._firsts.AsSpan().IndexOf(path[0]);
            if (child < 0)
                break;
            node = node._children[child];
        }

        return best;
    }

    /// <summary>All routes, in ordinal order of their paths; for people.</summary>
    public IEnumerable<Route> Routes
    {
        get
        {
            // Its own stack: paths that each extend the last make a deep tree.
            var open = new Stack<PathTree>([this]);
            while (open.TryPop(out var node))
            {
                if (node._route is not null)
                    yield return node._route;
                for (var i = node._children.Length - 1; i >= 0; i--)
                    open.Push(node._children[i]);
            }
        }
    }

    /// <param name="host">Of all the routes.</param>
    /// <param name="paths">Each path once, in ordinal order, with its group; at least one.</param>
    public static PathTree Build(string host, ReadOnlySpan<KeyValuePair<string, UpstreamGroup>> paths) => Build(host, paths, 0, null);

    private static PathTree Build(
        string host,
        ReadOnlySpan<KeyValuePair<string, UpstreamGroup>> paths,
        int depth,
        Route? shorter)
    {
        // In a sorted range the first and the last path have in common what all have.
        var first = paths[0].Key;
        var end = depth + first.AsSpan(depth).CommonPrefixLength(paths[^1].Key.AsSpan(depth));
        Route? route = null;
        if (first.Length == end)
        {
            shorter = route = new Route(host, first, paths[0].Value) { Shorter = shorter };
            paths = paths[1..];
        }

        var piece = first[depth..end];
        if (paths.IsEmpty)
            return new PathTree(piece, route, [], []);

        var firsts = new List<char>();
        var children = new List<PathTree>();
        while (!paths.IsEmpty)
        {
            var c = paths[0].Key[end];
            var count = 1;
            while (count < paths.Length && paths[count].Key[end] == c)
                count++;
            firsts.Add(c);
            children.Add(Build(host, paths[..count], end, shorter));
            paths = paths[count..];
        }

        return new PathTree(piece, route, [.. firsts], [.. children]);
    }
}
