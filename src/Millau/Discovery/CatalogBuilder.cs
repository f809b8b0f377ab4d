using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging;

namespace Millau.Discovery;

/// <summary>
/// Makes catalogs of what was found: reads labels, chooses addresses, remembers the last good routing and services that
/// were removed, and logs what changed. Single user: the loop of <see cref="DockerDiscovery"/>.
/// </summary>
/// <remarks>
/// A Swarm service and plain containers may have one name. Both are routed; the plain one is then called
/// <c>name@containers</c>, which no Docker name can be.
/// </remarks>
internal sealed class CatalogBuilder(DiscoveryOptions options, ILogger log)
{
    private readonly Dictionary<(ServiceOrigin Origin, string Name), Known> _known = [];
    private readonly SaidOnce _said = new();
    private readonly StopClock _stops = new(options.Timing.StopNotice);
    private ServiceCatalog? _last;

    /// <summary>When the catalog will change though nothing else does; null if it will not.</summary>
    public TimeSpan? NextChange => _stops.NextEnd;

    /// <summary>The catalog of now, or null when it is the same as the one before.</summary>
    public ServiceCatalog? Build(IEnumerable<FoundService> found, Reach reach, ContainerNews news, TimeSpan now)
    {
        _said.BeginRound();
        _stops.BeginRound();
        var seen = new List<SeenService>();
        var services = new List<Service>();
        var certificates = new List<ServiceCertificate>();
        foreach (var known in _known.Values)
            known.IsFound = false;
        foreach (var service in Merge(found))
            Take(service, reach, news, now);
        foreach (var (key, known) in _known)
        {
            if (!known.IsFound)
                Miss(key, known, now);
            if (known.Labels is { } labels)
                services.Add(ToService(CatalogName(key), known, labels));
            if (known.Certificate is { } pair)
                certificates.Add(new ServiceCertificate(CatalogName(key), pair.Certificate, pair.Key) { Claim = known.Claim });
            if (known.Labels is not null || known.MissingSince is null)
                seen.Add(known.Seen! with { RoutedAs = known.Labels is null ? null : CatalogName(key) });
        }

        _said.EndRound();
        _stops.EndRound();
        services.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        certificates.Sort(static (a, b) => string.CompareOrdinal(a.Service, b.Service));
        seen.Sort(static (a, b) =>
            string.CompareOrdinal(a.Name, b.Name) is var order && order != 0 ? order : a.Origin.CompareTo(b.Origin));
        var catalog = new ServiceCatalog([.. services]) { Seen = [.. seen], Certificates = [.. certificates] };
        if (catalog.Equals(_last))
            return null;
        if (_last is null)
            Log.ServicesFound(log, seen.Count, services.Count);
        _last = catalog;
        return catalog;
    }

    /// <summary>
    /// A service that was deleted and created again has two entries for a moment: the new one's labels hold, and the
    /// tasks of the old one still serve.
    /// </summary>
    private static IEnumerable<FoundService> Merge(IEnumerable<FoundService> found) => found
        .GroupBy(s => (s.Origin, s.Name))
        .Select(g => g.OrderBy(s => s.IsRemoved).ToList())
        .Select(same => same.Count == 1
            ? same[0]
            : same[0] with { Instances = [.. same.SelectMany(s => s.Instances)] });

    private void Take(FoundService found, Reach reach, ContainerNews news, TimeSpan now)
    {
        var key = (found.Origin, found.Name);
        if (!_known.TryGetValue(key, out var known))
            _known[key] = known = new Known();
        var reading = ServiceLabels.Read(found.Labels);
        if (options.AllowedHosts is { } claims)
        {
            reading = claims.Check(found, reading);
            known.Claim = new HostClaim(claims, HostClaims.StackOf(found));
        }
        Say(found, reading, known);

        var labels = reading.Verdict switch
        {
            LabelVerdict.Good => reading.Labels,
            LabelVerdict.Wrong => known.LastGood,
            _ => null,
        };
        known.LastGood = labels;
        known.Certificate = reading.HasHalfPair ? known.Certificate : reading.Certificate;
        var reason = labels is not null ? "" : reading.Verdict == LabelVerdict.Off
            ? "millau.enabled is not true"
            : "wrong labels: " + string.Join(", ", reading.Problems.Select(p => p.Label));
        (string Its, string Ours)? noNetwork = null;
        var own = "";
        var instances = labels is null ? [] : Instances(found, labels, reach, news, now, out noNetwork, out own);
        if (instances.IsEmpty && noNetwork is var (its, ours))
            reason = $"no shared network: it is on {its}, Millau reaches {ours}";
        else if (instances.IsEmpty && own.Length > 0)
            reason = own;
        if (reason.Length > 0)
            labels = null;

        LogChange(found, known, labels, instances.Length, reason, reading.HasAny);
        known.IsFound = true;
        known.MissingSince = found.IsRemoved ? known.MissingSince ?? now : null;
        known.Labels = labels;
        known.Instances = instances;
        known.IsStarting = found.IsStarting;
        known.Reason = reason;
        known.Seen = See(WithNews(found, news, now), reading, labels, reason, instances.Length, noNetwork, own);
    }

    private static SeenService See(
        FoundService found, LabelReading reading, ServiceLabels? labels, string reason, int instances,
        (string Its, string Ours)? noNetwork, string own) => new()
    {
        Name = found.Name,
        Origin = found.Origin,
        Reason = reason,
        Labels = [.. found.Labels.Where(l => ServiceLabels.IsMillau(l.Key)).OrderBy(l => l.Key, StringComparer.Ordinal)
            .Select(l => new SeenLabel(LogText.Clean(l.Key), LogText.Clean(LabelSecrets.Shown(l.Key, l.Value ?? ""))))],
        Port = labels?.Port,
        Wanted = found.Wanted,
        ExposedPorts = found.ExposedPorts,
        Unhealthy = [.. found.Instances.Where(i => i.IsUnhealthy).Select(i => i.Id)],
        Problems = found.IsRemoved
            ? [Diagnosis.Removed]
            : Diagnosis.Of(found, reading, labels is not null, instances, noNetwork, own),
    };

    /// <summary>Events tell of health checks that failed on this node; the lists of a Swarm do not.</summary>
    private static FoundService WithNews(FoundService found, ContainerNews news, TimeSpan now) =>
        found.Instances.Any(i => !i.IsUnhealthy && news.IsUnhealthy(i.ContainerId, now))
            ? found with
            {
                Instances = [.. found.Instances.Select(
                    i => i with { IsUnhealthy = i.IsUnhealthy || news.IsUnhealthy(i.ContainerId, now) })],
            }
            : found;

    /// <summary>A service that is no longer found is known but down for a while, then forgotten.</summary>
    private void Miss((ServiceOrigin Origin, string Name) key, Known known, TimeSpan now)
    {
        known.Instances = [];
        known.IsStarting = false;
        if (known.MissingSince is null && known.Labels is not null)
            Log.ServiceRemoved(log, key.Name);
        known.MissingSince ??= now;
        known.Seen = known.Seen! with { Problems = [Diagnosis.Removed], Unhealthy = [] };
        if (known.Labels is not null && now - known.MissingSince < options.Timing.KeepRemoved)
            return;
        if (known.Labels is not null)
            Log.ServiceForgotten(log, key.Name);
        known.Labels = null;
        known.Certificate = null;
        _known.Remove(key);
    }

    private void Say(FoundService found, LabelReading reading, Known known)
    {
        if (found.IsRemoved)
            return;
        var result = reading.Verdict == LabelVerdict.Off ? "not routed"
            : known.LastGood is null ? "not routed until it is right"
            : "last good routing kept";
        foreach (var problem in reading.Problems)
        {
            var (label, value) = (LogText.Clean(problem.Label), LogText.Clean(problem.Value));
            if (_said.IsNew(found.Name, problem.Label, problem.Value + problem.Allowed))
                Log.WrongLabel(log, found.Name, label, value, problem.Allowed, result);
        }

        if (found.Notice.Length > 0 && _said.IsNew(found.Name, "", found.Notice))
            Log.WrongDeployment(log, found.Name, LogText.Clean(found.Notice));
    }

    private ImmutableArray<Instance> Instances(
        FoundService found, ServiceLabels labels, Reach reach, ContainerNews news, TimeSpan now,
        out (string Its, string Ours)? noNetwork, out string own)
    {
        noNetwork = null;
        own = "";
        var result = ImmutableArray.CreateBuilder<Instance>(found.Instances.Length);
        FoundInstance? unreachable = null;
        foreach (var instance in found.Instances)
        {
            // Plain containers get no notice: what is listed as stopping there is unhealthy, and stays so.
            var listed = found.Origin == ServiceOrigin.Swarm ? _stops.Judge(instance.Id, instance.Phase, now) : instance.Phase;
            if (news.Judge(instance.ContainerId, listed, now) is not { } phase)
                continue;
            // Millau is no instance, and what it tells on its telemetry port is not for clients.
            if (instance.ContainerId.Length > 0 && instance.ContainerId == options.OwnContainerId)
            {
                own = "its container is Millau itself";
                continue;
            }
            if (reach.Choose(instance) is not { } address)
            {
                unreachable = instance;
                continue;
            }

            if (IPAddress.IsLoopback(address) && options.OwnPorts.Contains(labels.Port))
            {
                own = $"port {labels.Port} of this host is Millau's own";
                continue;
            }
            result.Add(new Instance(instance.Id, instance.Name, new IPEndPoint(address, labels.Port), phase)
            {
                Epoch = news.Epoch(instance.ContainerId),
            });
        }

        result.Sort(static (a, b) =>
            string.CompareOrdinal(a.Name, b.Name) is var order && order != 0 ? order : string.CompareOrdinal(a.Id, b.Id));
        if (unreachable is null)
            return result.DrainToImmutable();
        var its = string.Join(',', unreachable.Addresses.Select(a => a.NetworkName).Distinct().Order(StringComparer.Ordinal));
        if (its.Length == 0)
            its = "none";
        if (_said.IsNew(found.Name, "network", $"{its} {reach.Describe()}"))
            Log.NoSharedNetwork(log, found.Name, its, reach.Describe());
        noNetwork = (its, reach.Describe());
        return result.DrainToImmutable();
    }

    private void LogChange(
        FoundService found, Known known, ServiceLabels? labels, int instances, string reason, bool hasLabels)
    {
        if (labels is not null)
        {
            // One that was removed and is back was not forgotten, so its routing may be the same.
            if (known.Labels is null || (known.MissingSince is not null && !found.IsRemoved))
                Log.ServiceRouted(log, found.Name, labels, instances);
            else if (!labels.Equals(known.Labels))
                Log.ServiceRoutingChanged(log, found.Name, labels, known.Labels);
            else if (found.IsRemoved && known.MissingSince is null)
                Log.ServiceRemoved(log, found.Name);
        }
        else if (known.Labels is not null)
        {
            Log.ServiceUnrouted(log, found.Name, reason);
        }
        else if (known.Reason != reason && hasLabels)
        {
            Log.ServiceNotRouted(log, found.Name, reason);
        }
        else if (known.Reason != reason)
        {
            Log.ServiceWithoutLabels(log, found.Name);
        }
    }

    private string CatalogName((ServiceOrigin Origin, string Name) key) =>
        key.Origin == ServiceOrigin.Containers
        && _known.TryGetValue((ServiceOrigin.Swarm, key.Name), out var swarm)
        && (swarm.Labels is not null || swarm.Certificate is not null)
            ? key.Name + "@containers"
            : key.Name;

    private static Service ToService(string name, Known known, ServiceLabels labels) => new()
    {
        Name = name,
        Hosts = labels.Hosts,
        Path = labels.Path,
        Timeout = labels.Timeout,
        Retry = labels.Retry,
        RedirectsToHttps = labels.RedirectsToHttps,
        Tls = labels.Tls,
        Instances = known.Instances,
        IsStarting = known.IsStarting,
        IsRemoved = known.MissingSince is not null,
    };

    /// <summary>What is remembered of one service from round to round.</summary>
    private sealed class Known
    {
        public bool IsFound { get; set; }
        public TimeSpan? MissingSince { get; set; }

        /// <summary>In force while the labels are wrong.</summary>
        public ServiceLabels? LastGood { get; set; }

        /// <summary>What its stack may claim; null if that is not limited.</summary>
        public HostClaim? Claim { get; set; }

        /// <summary>As in the labels, of a service that is not routed too.</summary>
        public (string Certificate, string Key)? Certificate { get; set; }

        /// <summary>As routed now; null when it is not.</summary>
        public ServiceLabels? Labels { get; set; }

        public ImmutableArray<Instance> Instances { get; set; } = [];
        public bool IsStarting { get; set; }
        public string Reason { get; set; } = "";

        /// <summary>As people are told of it; set with the first sight.</summary>
        public SeenService? Seen { get; set; }
    }
}
