using Millau.Routing;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>Which instance gets a request: over all groups that match, and over all states an instance can be in.</summary>
internal static class InstanceSelector
{
    /// <summary>
    /// The next instance for a request. In this order: one that is ready or a last resort, in the best group that has
    /// one; one that is closing, if the request may be sent again; one that is left out, once a request, rather than
    /// to fail at once; one that is closing, whatever the request, if nothing is on its way up to wait for.
    /// </summary>
    /// <param name="walk">The routes that match.</param>
    /// <param name="tried">Those that had their attempt.</param>
    /// <param name="repeatable">The request may be sent again.</param>
    /// <param name="triedLeftOut">One that was left out had its attempt.</param>
    /// <param name="group">The group that it was chosen from; null if there is none.</param>
    /// <param name="starting">If there is none: a service, in any group that matches, that has an instance on its way up; or null.</param>
    public static UpstreamInstance? Choose(
        RouteWalk walk, List<UpstreamInstance> tried, bool repeatable, ref bool triedLeftOut, out UpstreamGroup? group, out string? starting)
    {
        starting = null;
        if (ChooseReady(walk, tried, out group) is { } ready) return ready;
        if (repeatable && ChooseClosing(walk, tried, out group) is { } closing) return closing;
        for (var routes = walk; !triedLeftOut && routes.Current is { } route; routes.MoveNext())
        {
            group = route.Group;
            if (group.PickLeftOut(tried) is not { } instance) continue;
            triedLeftOut = true;
            return instance;
        }
        group = null;
        starting = FindStarting(walk);
        if (starting is not null) return null;
        // Race window: one that was on its way up when it was passed over has arrived since.
        if (ChooseReady(walk, tried, out group) is { } arrived) return arrived;
        return repeatable ? null : ChooseClosing(walk, tried, out group);
    }

    private static UpstreamInstance? ChooseReady(RouteWalk walk, List<UpstreamInstance> tried, out UpstreamGroup? group)
    {
        for (; walk.Current is { } route; walk.MoveNext())
        {
            group = route.Group;
            if (group.Pick(tried) is { } instance) return instance;
        }
        group = null;
        return null;
    }

    private static string? FindStarting(RouteWalk walk)
    {
        for (; walk.Current is { } route; walk.MoveNext())
            if (route.Group.IsStarting) return route.Group.Services[0].Name;
        return null;
    }

    private static UpstreamInstance? ChooseClosing(RouteWalk walk, List<UpstreamInstance> tried, out UpstreamGroup? group)
    {
        for (; walk.Current is { } route; walk.MoveNext())
        {
            group = route.Group;
            if (group.PickClosing(tried) is { } instance) return instance;
        }
        group = null;
        return null;
    }
}
