using System.Collections.Immutable;
using System.Net;
using Microsoft.AspNetCore.Http;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Routing;
using Millau.Tls;
using Millau.Upstreams;

namespace Millau.Telemetry;

/// <summary>
/// Answers what would become of a request, by asking the code that decides: the rules of <see cref="RequestRules"/>, the
/// table, its walk, and <see cref="InstanceSelector"/>. The table is built anew of the same services and instances, so
/// that asking takes nobody's turn.
/// </summary>
internal static class RequestTrial
{
    /// <summary>Decides as of now. Nothing is sent.</summary>
    public static TrialReport Run(TrialRequest request, RoutesSnapshot routes, HttpsRedirect redirect)
    {
        var exchange = new ImaginedExchange(new ClientPeer(IPAddress.Loopback), request.Method, request.Path).With("Host", request.Host);
        exchange.Scheme = request.Scheme;
        var context = new RequestContext(exchange);
        context.Begin();
        try
        {
            return RequestRules.Check(context) is { } refusal
                ? Refused(request, refusal)
                : Decide(request, context, routes, redirect);
        }
        finally
        {
            context.End();
            exchange.Fields.Release();
        }
    }

    /// <summary>The steps 2 and 3 of <see cref="Forwarder"/>.</summary>
    private static TrialReport Decide(
        TrialRequest request, RequestContext context, RoutesSnapshot routes, HttpsRedirect redirect)
    {
        var table = RouteTableBuilder.Build(routes.Catalog, routes.Upstreams);
        var walk = table.Match(context.Host, context.Target.Path);
        var unhealthy = routes.Catalog.Seen.SelectMany(s => s.Unhealthy).ToHashSet(StringComparer.Ordinal);
        var candidates = Candidates(context.Host);
        if (walk.Current is not { } best)
            return Report(TrialOutcomes.NoMatch, StatusCodes.Status502BadGateway, "502 No matching services found.", null, "");
        if (best.Group.RedirectsToHttps && redirect.Applies(context))
            return Report(TrialOutcomes.Redirected, StatusCodes.Status308PermanentRedirect,
                $"308 to {redirect.LocationOf(context)}: a service of this route has millau.redirect=https.",
                best.Group, "Plain requests are sent to https.");
        if (Demand(request, best.Group) is { } demand)
            return Report(TrialOutcomes.CertificateRequired, demand.Status, $"{demand.Status} {demand.Reason}.",
                best.Group, Describe(best.Group.ClientAuthorities));

        var triedLeftOut = false;
        var chosen = InstanceSelector.Choose(
            walk, [], RetryRule.IsIdempotent(request.Method), ref triedLeftOut, out var group, out var service);
        if (chosen is null)
            return service is not null
                ? Report(TrialOutcomes.Waits, StatusCodes.Status503ServiceUnavailable,
                    $"It waits for {service}, which is starting, for 10 s at most; then 503 with Retry-After.", null, "")
                : Report(TrialOutcomes.NoInstance, StatusCodes.Status502BadGateway, "502 No instance is available.", null, "");
        if (Demand(request, group!) is { } ofGroup)
            return Report(TrialOutcomes.CertificateRequired, ofGroup.Status, $"{ofGroup.Status} {ofGroup.Reason}.",
                group, Describe(group!.ClientAuthorities));
        return Report(TrialOutcomes.Forwarded, null,
            $"It goes to {chosen.Service.Name}, {chosen.Name} at {chosen.EndPoint}, or another instance of the same group in its turn.",
            group, Describe(chosen, group!, unhealthy)) with { Instance = ToReport(chosen, unhealthy) };

        TrialReport Report(string outcome, int? status, string text, UpstreamGroup? decides, string why)
        {
            var matched = Walk(walk, decides, why, unhealthy);
            return new TrialReport(
                request, outcome, status, text, HostName.Normalize(context.Host), context.Target.Path.ToString(),
                Hosts(table, candidates, matched), matched, null, Hints(routes.Catalog, UpTo(matched.FirstOrDefault(r => r.Chosen)?.Host, candidates)));
        }
    }

    /// <summary>As <see cref="ClientCertificateRule"/> has it, of a certificate that is only thought of.</summary>
    private static Refusal? Demand(TrialRequest request, UpstreamGroup group) =>
        group.ClientAuthorities.IsEmpty ? null
        : request.Scheme != "https" ? ClientCertificateRule.Forbidden(ClientCertificateRule.RequiredWithHttps)
        : !request.Certificate ? ClientCertificateRule.Forbidden(ClientCertificateRule.Required)
        : group.ClientAuthorities.Any(a => a.Current is null) ? ClientCertificateRule.Forbidden(ClientCertificateRule.Unverifiable)
        : null;

    private static string Describe(ImmutableArray<ClientAuthority> authorities)
    {
        var of = string.Join(", ", authorities.Select(a => a.Service));
        var broken = authorities.Where(a => a.Current is null).Select(a => a.Service).ToList();
        return $"Clients need a certificate (millau.clientca of {of})."
            + (broken.Count == 0 ? "" : $" The CA of {string.Join(", ", broken)} cannot be read, so nobody is let in.");
    }

    private static string Describe(UpstreamInstance chosen, UpstreamGroup group, HashSet<string> unhealthy)
    {
        var state = InstanceStates.Of(chosen, unhealthy.Contains(chosen.Id));
        var all = group.Services.Sum(s => s.Instances.Length);
        var ready = group.Services.Sum(s => s.Instances.Count(i => i.IsReady));
        var text = state == InstanceStates.Ready
            ? $"Chosen: {ready} of {all} instances {(ready == 1 ? "is" : "are")} ready."
            : $"Chosen for want of a better one: {chosen.Name} is {InstanceStates.Describe(state, chosen)}.";
        return group.ClientAuthorities.IsEmpty ? text : $"{text} {Describe(group.ClientAuthorities)}";
    }

    private static TrialReport Refused(TrialRequest request, Refusal refusal) => new(
        request, TrialOutcomes.Refused, refusal.Status, $"{refusal.Status} {refusal.Reason}.", "", "", [], [], null, []);

    /// <summary>The routes that match, in the order in which they are tried.</summary>
    /// <param name="decides">The group that decides; null if none does.</param>
    /// <param name="why">What it decides.</param>
    private static ImmutableArray<TrialRoute> Walk(RouteWalk walk, UpstreamGroup? decides, string why, HashSet<string> unhealthy)
    {
        var result = ImmutableArray.CreateBuilder<TrialRoute>();
        var isDecided = false;
        for (; walk.Current is { } route; walk.MoveNext())
        {
            var group = route.Group;
            var isChosen = group == decides;
            result.Add(new TrialRoute(
                route.Host, route.Path, [.. group.Services.Select(s => s.Name)], isChosen, group.IsStarting,
                isChosen ? why : isDecided ? "Not needed: a better route decides." : PassedOver(group),
                [.. group.Services.SelectMany(s => s.Instances).Select(i => ToReport(i, unhealthy))]));
            isDecided |= isChosen;
        }

        return result.DrainToImmutable();
    }

    private static string PassedOver(UpstreamGroup group) => (group.Services.All(s => s.Instances.IsEmpty), group.IsStarting) switch
    {
        (true, true) => "Passed over: its instance is on its way up.",
        (true, false) => "Passed over: it has no instance.",
        (false, true) => "Passed over: its instances do not accept connections yet.",
        _ => "Passed over: none of its instances can take a request.",
    };

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
        RouteTable table, ImmutableArray<string> candidates, ImmutableArray<TrialRoute> matched)
    {
        var routes = table.Routes.ToLookup(r => r.Host);
        return
        [
            .. candidates.Select(name => new TrialHost(
                name,
                [.. routes[name].Select(r => r.Path)],
                matched.FirstOrDefault(r => r.Host == name)?.Path)),
        ];
    }

    /// <summary>The names that would have had a say before the one that decides, and that one.</summary>
    private static ImmutableArray<string> UpTo(string? decides, ImmutableArray<string> candidates) =>
        decides is null ? candidates : candidates[..(candidates.IndexOf(decides) + 1)];

    /// <summary>Services that would be there for this host, were they routed as they ask.</summary>
    private static ImmutableArray<string> Hints(ServiceCatalog catalog, ImmutableArray<string> candidates)
    {
        var routed = catalog.Services.ToDictionary(s => s.Name, s => s.Hosts, StringComparer.Ordinal);
        return
        [
            .. from seen in catalog.Seen
               where !seen.Labels.IsEmpty
               let asked = AskedHosts(seen).Where(candidates.Contains).ToList()
               let isRouted = seen.RoutedAs is not null
               where asked.Count > 0 && !(isRouted && routed.TryGetValue(seen.RoutedAs!, out var hosts) && asked.All(hosts.Contains))
               let problem = seen.Problems.FirstOrDefault()
               select $"{seen.Name} asks for this host, but is not routed{(isRouted ? " for it" : "")}"
                   + (problem is null ? "." : $": {problem.Text} {problem.Advice}"),
        ];
    }

    private static IEnumerable<string> AskedHosts(SeenService seen) =>
        (seen.Labels.FirstOrDefault(l => l.Name.Equals(ServiceLabels.HostsLabel, StringComparison.OrdinalIgnoreCase)).Value ?? HostName.Any)
        .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(HostName.Normalize);
}
