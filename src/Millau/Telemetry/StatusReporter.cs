using System.Collections.Immutable;
using Millau.Discovery;
using Millau.Routing;
using Millau.Tls;
using Millau.Tls.Acme;
using Millau.Upstreams;

namespace Millau.Telemetry;

/// <summary>
/// Puts together what the parts publish: reads their snapshots when somebody asks, and changes nothing. Any thread.
/// </summary>
internal sealed class StatusReporter(
    MillauProxy proxy, AutomaticHttps? acme, DockerDiscovery discovery, Health health, string engineAddress, ImmutableArray<PortReport> ports,
    TimeProvider time)
{
    private readonly DateTimeOffset _startedAt = time.GetUtcNow();

    /// <summary>Everything as it stands.</summary>
    public StatusReport Report()
    {
        var state = health.Current;
        var engine = discovery.Health;
        var certificates = proxy.Certificates.Status;
        var automatic = acme?.Status;
        return new StatusReport(
            state.IsUp ? "up" : "down",
            state.Since,
            new MillauReport(
                Product.Version, Environment.MachineName, _startedAt, ports, engine.Networks, proxy.WaitingRequests),
            new EngineReport(
                engineAddress, engine.IsReachable, engine.Since, engine.LastRead, engine.LastError, engine.Server,
                engine.ApiVersion),
            [.. engine.Problems.Concat(OfHealth(state)).Concat(AcmeDiagnosis.OfAuthority(automatic))
                .OrderByDescending(p => p.Severity).Select(ToReport)],
            Services(proxy.Routes, certificates, automatic),
            [.. certificates.Select(ToReport)],
            automatic is null ? null : ToReport(automatic));
    }

    /// <summary>What would become of a request now.</summary>
    public TrialReport Try(TrialRequest request) => RequestTrial.Run(request, proxy.Routes, proxy.Redirect);

    private ImmutableArray<ServiceReport> Services(
        RoutesSnapshot routes, ImmutableArray<CertificateStatus> certificates, AcmeStatus? automatic)
    {
        var routed = new Dictionary<string, (Service Service, UpstreamService Upstream)>(StringComparer.Ordinal);
        for (var i = 0; i < routes.Upstreams.Length; i++)
            routed[routes.Catalog.Services[i].Name] = (routes.Catalog.Services[i], routes.Upstreams[i]);
        var bySlot = routes.Catalog.Services
            .SelectMany(s => s.Hosts.Select(h => (Slot: (h, s.Path), s.Name)))
            .ToLookup(s => s.Slot, s => s.Name);

        var materials = proxy.TlsProblems;
        var result = ImmutableArray.CreateBuilder<ServiceReport>(routes.Catalog.Seen.Length);
        foreach (var seen in routes.Catalog.Seen)
        {
            var known = seen.RoutedAs ?? seen.Name;
            var ofTls = OfCertificates(certificates, known).Concat(OfMaterials(materials, known))
                .Concat(AcmeDiagnosis.OfService(automatic, known)).ToList();
            result.Add(seen.RoutedAs is { } name && routed.TryGetValue(name, out var route)
                ? ToReport(seen, route.Service, route.Upstream, ofTls, bySlot)
                : ToReport(seen, ofTls));
        }

        return result.DrainToImmutable();
    }

    private static ServiceReport ToReport(SeenService seen, IEnumerable<Problem> more)
    {
        ImmutableArray<Problem> problems = [.. seen.Problems.Concat(more).OrderByDescending(p => p.Severity)];
        return new ServiceReport(
            seen.Name, Origin(seen),
            problems.Any(p => p.Code is Diagnosis.NoLabels or Diagnosis.Disabled) ? ServiceStates.NotAsked : ServiceStates.NotRouted,
            Labels(seen), null, seen.Wanted, 0, 0, [], [.. problems.Select(ToReport)], []);
    }

    private ServiceReport ToReport(
        SeenService seen, Service service, UpstreamService upstream, IEnumerable<Problem> more,
        ILookup<(string, string), string> bySlot)
    {
        var unhealthy = seen.Unhealthy.ToHashSet(StringComparer.Ordinal);
        var instances = upstream.Instances.Select(i => (Instance: i, State: InstanceStates.Of(i, unhealthy.Contains(i.Id)))).ToList();
        ImmutableArray<Problem> problems =
            [.. seen.Problems.Concat(LiveDiagnosis.Of(seen, instances)).Concat(more).OrderByDescending(p => p.Severity)];
        return new ServiceReport(
            seen.Name,
            Origin(seen),
            StateOf(service, instances, problems),
            Labels(seen),
            new RoutingReport(
                service.Name, service.Hosts, service.Path, seen.Port, service.Timeout.TotalSeconds,
                service.Retry.TotalSeconds, service.RedirectsToHttps),
            seen.Wanted,
            instances.Count(i => i.State == InstanceStates.Ready),
            instances.Sum(i => i.Instance.Tally.InFlight),
            [.. service.Hosts.SelectMany(h => bySlot[(h, service.Path)]).Where(n => n != service.Name)
                .Distinct().Order(StringComparer.Ordinal)],
            [.. problems.Select(ToReport)],
            [.. instances.Select(i => ToReport(i.Instance, i.State))]);
    }

    private static string StateOf(
        Service service, List<(UpstreamInstance Instance, string State)> instances, ImmutableArray<Problem> problems)
    {
        if (service.IsRemoved) return ServiceStates.Removed;
        var ready = instances.Count(i => i.State == InstanceStates.Ready);
        if (ready > 0)
            return ready == instances.Count && problems.All(p => p.Severity == ProblemSeverity.Info)
                ? ServiceStates.Up
                : ServiceStates.Degraded;
        if (instances.Any(i => i.State is InstanceStates.Stopping or InstanceStates.Unhealthy)) return ServiceStates.Degraded;
        return service.IsStarting || instances.Any(i => i.State == InstanceStates.Starting)
            ? ServiceStates.Starting
            : ServiceStates.Down;
    }

    private InstanceReport ToReport(UpstreamInstance instance, string state)
    {
        var tally = instance.Tally;
        var failure = tally.LastFailure;
        return new InstanceReport(
            instance.Id,
            instance.Name,
            instance.EndPoint.ToString(),
            state,
            InstanceStates.Describe(state, instance),
            state == InstanceStates.LeftOut ? ToSecond(time.GetUtcNow() + instance.LeftOutFor) : null,
            tally.InFlight,
            tally.Answers,
            tally.Failures,
            tally.Answers == 0 ? null : Math.Round(tally.Latency.TotalMilliseconds, 1),
            failure?.Reason,
            failure?.At);
    }

    private static IEnumerable<Problem> OfHealth(HealthState health) => health.Down.Values
        .Where(d => d.Condition != Health.Engine)
        .Select(d => new Problem(
            "unhealthy-" + d.Condition, ProblemSeverity.Warning, $"{d.Condition}: {d.Reason}.",
            d.Condition == Health.Serving ? "It was told to stop: another one takes its place, or is to be started." : ""));

    /// <summary>What is wrong with the certificate in the labels of a service.</summary>
    private static IEnumerable<Problem> OfCertificates(ImmutableArray<CertificateStatus> certificates, string service) =>
        certificates.Where(c => c.Service == service && c.Problem.Length > 0).Select(c => new Problem(
            "bad-certificate",
            ProblemSeverity.Warning,
            $"{char.ToUpperInvariant(c.Problem[0])}{c.Problem[1..]}." + (c.NotAfter is null ? "" : " The last good certificate is in force."),
            "Correct millau.cert and millau.key: base64 of PEM, or secret:NAME."));

    /// <summary>What is wrong with the other TLS labels of a service.</summary>
    private static IEnumerable<Problem> OfMaterials(ImmutableArray<MaterialProblem> materials, string service) =>
        materials.Where(m => m.Service == service).Select(m => new Problem(
            "bad-certificate",
            m.HasGood ? ProblemSeverity.Warning : ProblemSeverity.Error,
            $"{m.Problem}; {(m.HasGood ? "the last good one stays in force" : m.Otherwise)}.",
            "Correct the label named, or the secret that it names."));

    private static AcmeReport ToReport(AcmeStatus acme) => new(
        acme.Directory, acme.CaError, acme.CaNextTry, acme.StoreError,
        [.. acme.Names.Select(n => new AcmeNameReport(
            n.Name, n.Service, n.State.ToString().ToLowerInvariant(), n.NotAfter, n.RenewAt, n.Failures, n.Error, n.NextTry))]);

    private static ImmutableArray<LabelReport> Labels(SeenService seen) =>
        [.. seen.Labels.Select(l => new LabelReport(l.Name, l.Value))];

    private static string Origin(SeenService seen) => seen.Origin == ServiceOrigin.Swarm ? "swarm" : "containers";

    private static ProblemReport ToReport(Problem problem) => new(
        problem.Code,
        problem.Severity switch
        {
            ProblemSeverity.Error => "error",
            ProblemSeverity.Warning => "warning",
            _ => "info",
        },
        problem.Text,
        problem.Advice);

    private static CertificateReport ToReport(CertificateStatus certificate) => new(
        certificate.Source switch
        {
            CertificateSource.Label => "label",
            CertificateSource.Acme => "acme",
            _ => "self-signed",
        },
        certificate.Service, certificate.Names, certificate.NotAfter, certificate.Problem);

    private static DateTimeOffset ToSecond(DateTimeOffset time) =>
        new(time.UtcTicks - (time.UtcTicks % TimeSpan.TicksPerSecond), TimeSpan.Zero);
}
