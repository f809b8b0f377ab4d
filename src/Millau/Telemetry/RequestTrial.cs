using System.Collections.Immutable;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Routing;
using Millau.Upstreams;

namespace Millau.Telemetry;

/// <summary>
/// Answers what would become of a request, by asking the code that decides: the rules of <see cref="RequestRules"/>, the
/// table, its walk, and <see cref="InstanceSelector"/>. The table is built anew of the same services and instances, so
/// that asking takes nobody's turn.
/// </summary>
internal static class RequestTrial
{
    /// <summary>Only asked whether it applies, so the port does not matter.</summary>
    private static readonly HttpsRedirect Redirect = new(443);

    /// <summary>Decides as of now. Nothing is sent.</summary>
    public static TrialReport Run(TrialRequest request, RoutesSnapshot routes)
    {
        var context = new RequestContext(Features(request));
        context.Begin();
        try
        {
            return RequestRules.Check(context) is { } refusal
                ? Refused(request, refusal)
                : Decide(request, context, routes);
        }
        finally
        {
            context.End();
        }
    }

    private static TrialReport Decide(TrialRequest request, RequestContext context, RoutesSnapshot routes)
    {
        var table = RouteTableBuilder.Build(routes.Catalog, routes.Upstreams);
        var walk = table.Match(context.Host, context.Target.Path);
        var repeatable = RetryRule.IsIdempotent(request.Method);
        var triedLeftOut = false;
        var chosen = walk.Current is null ? null : InstanceSelector.Choose(walk, [], repeatable, ref triedLeftOut, out _);
        var starting = walk.Current is null ? null : InstanceSelector.FindStarting(walk);

        var unhealthy = routes.Catalog.Seen.SelectMany(s => s.Unhealthy).ToHashSet(StringComparer.Ordinal);
        var candidates = Candidates(context.Host);
        var matched = Walk(walk, chosen, unhealthy);
        var hosts = Hosts(table, candidates, matched);
        var (outcome, status, text) = (walk.Current, chosen, starting) switch
        {
            ({ Group.RedirectsToHttps: true }, _, _) when Redirect.Applies(context) => (
                TrialOutcomes.Redirected, (int?)StatusCodes.Status308PermanentRedirect,
                "308, to the same address on https: a service of this route has millau.redirect=https."),
            (null, _, _) => (TrialOutcomes.NoMatch, (int?)StatusCodes.Status502BadGateway, "502 No matching services found."),
            (_, { } instance, _) => (TrialOutcomes.Forwarded, null,
                $"It goes to {instance.Service.Name}, {instance.Name} at {instance.EndPoint}, or another instance of the same group in its turn."),
            (_, null, { } service) => (TrialOutcomes.Waits, (int?)StatusCodes.Status503ServiceUnavailable,
                $"It waits for {service}, which is starting, for 10 s at most; then 503 with Retry-After."),
            _ => (TrialOutcomes.NoInstance, (int?)StatusCodes.Status502BadGateway, "502 No instance is available."),
        };
        return new TrialReport(
            request, outcome, status, text, HostName.Normalize(context.Host), context.Target.Path.ToString(), hosts, matched,
            chosen is null ? null : ToReport(chosen, unhealthy), Hints(routes.Catalog, candidates));
    }

    private static TrialReport Refused(TrialRequest request, Refusal refusal) => new(
        request, TrialOutcomes.Refused, refusal.Status, $"{refusal.Status} {refusal.Reason}.", "", "", [], [], null, []);

    /// <summary>The routes that match, in the order in which they are tried.</summary>
    private static ImmutableArray<TrialRoute> Walk(RouteWalk walk, UpstreamInstance? chosen, HashSet<string> unhealthy)
    {
        var result = ImmutableArray.CreateBuilder<TrialRoute>();
        var isFound = false;
        for (; walk.Current is { } route; walk.MoveNext())
        {
            var instances = route.Group.Services.SelectMany(s => s.Instances)
                .Select(i => ToReport(i, unhealthy)).ToImmutableArray();
            var isChosen = !isFound && chosen is not null && route.Group.Services.Any(s => s.Instances.Contains(chosen));
            var starting = route.Group.IsStarting;
            result.Add(new TrialRoute(
                route.Host, route.Path, [.. route.Group.Services.Select(s => s.Name)], isChosen, starting,
                Describe(instances, isChosen, isFound, chosen, starting, unhealthy), instances));
            isFound |= isChosen;
        }

        return result.DrainToImmutable();
    }

    private static string Describe(
        ImmutableArray<TrialInstance> instances, bool isChosen, bool isFound, UpstreamInstance? chosen, bool starting,
        HashSet<string> unhealthy)
    {
        if (isChosen)
        {
            var state = InstanceStates.Of(chosen!, unhealthy.Contains(chosen!.Id));
            var ready = instances.Count(i => i.Usable);
            return state == InstanceStates.Ready
                ? $"Chosen: {ready} of {instances.Length} instances {(ready == 1 ? "is" : "are")} ready."
                : $"Chosen for want of a better one: {chosen.Name} is {InstanceStates.Describe(state, chosen)}.";
        }

        if (isFound) return "Not needed: a better route has an instance.";
        return instances.IsEmpty
            ? starting ? "Passed over: its instance is on its way up." : "Passed over: it has no instance."
            : starting ? "Passed over: its instances do not accept connections yet."
            : "Passed over: none of its instances can take a request.";
    }

    private static TrialInstance ToReport(UpstreamInstance instance, HashSet<string> unhealthy)
    {
        var state = InstanceStates.Of(instance, unhealthy.Contains(instance.Id));
        return new TrialInstance(
            instance.Service.Name, instance.Name, instance.EndPoint.ToString(), state, instance.IsReady,
            InstanceStates.Describe(state, instance));
    }

    /// <summary>The host, its suffixes of whole labels, and <c>*</c>.</summary>
    private static ImmutableArray<string> Candidates(string host)
    {
        var result = ImmutableArray.CreateBuilder<string>();
        for (var name = HostName.Normalize(host); name.Length > 0;)
        {
            result.Add(name);
            var dot = name[0] == '[' ? -1 : name.IndexOf('.');
            name = dot < 0 ? "" : name[(dot + 1)..];
        }

        result.Add(HostName.Any);
        return result.DrainToImmutable();
    }

    private static ImmutableArray<TrialHost> Hosts(
        RouteTable table, ImmutableArray<string> candidates, ImmutableArray<TrialRoute> matched) =>
    [
        .. candidates.Select(name => new TrialHost(
            name,
            [.. table.Routes.Where(r => r.Host == name).Select(r => r.Path)],
            matched.FirstOrDefault(r => r.Host == name)?.Path)),
    ];

    /// <summary>Services that would be there for this host, were they routed.</summary>
    private static ImmutableArray<string> Hints(ServiceCatalog catalog, ImmutableArray<string> candidates) =>
    [
        .. from seen in catalog.Seen
           where seen.RoutedAs is null && !seen.Labels.IsEmpty
           let hosts = seen.Labels.FirstOrDefault(l => l.Name.Equals(ServiceLabels.HostsLabel, StringComparison.OrdinalIgnoreCase)).Value
           where (hosts ?? HostName.Any).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)
               .Any(h => candidates.Contains(HostName.Normalize(h)))
           let problem = seen.Problems.FirstOrDefault()
           select problem is null
               ? $"{seen.Name} asks for this host, but is not routed."
               : $"{seen.Name} asks for this host, but is not routed: {problem.Text} {problem.Advice}",
    ];

    /// <summary>The request as the server would hand it over.</summary>
    private static FeatureCollection Features(TrialRequest request)
    {
        var features = new FeatureCollection();
        features.Set<IHttpRequestFeature>(new HttpRequestFeature
        {
            Method = request.Method,
            Protocol = "HTTP/1.1",
            Scheme = request.Scheme,
            RawTarget = request.Path,
            Headers = new HeaderDictionary { ["Host"] = request.Host },
        });
        features.Set<IHttpResponseFeature>(new HttpResponseFeature());
        features.Set<IHttpConnectionFeature>(new HttpConnectionFeature
        {
            LocalIpAddress = IPAddress.Loopback,
            RemoteIpAddress = IPAddress.Loopback,
        });
        features.Set<IHttpRequestLifetimeFeature>(new HttpRequestLifetimeFeature());
        return features;
    }
}
