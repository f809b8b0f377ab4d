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
    private readonly Dictionary<(ServiceOrigin Origin, string Name), KnownService> _known = [];
    private readonly StopClock _stops = new(options.Timing.StopNotice);
    private Reach? _reach;
    private InstanceSight[] _sights = [];

    // Since the last catalog. Kept until there is a next one: a round that fails halfway must not hide what it has found.
    private bool _isChanged = true;
    private bool _hasBuilt;

    /// <summary>When the catalog will change though nothing else does; null if it will not.</summary>
    public TimeSpan? NextChange => _stops.NextEnd;

    /// <summary>
    /// The catalog of now, or null when it is the same as the one before. What is found to be the same object as in the last round is
    /// passed over, but for what time and news may have changed of it.
    /// </summary>
    public ServiceCatalog? Build(IEnumerable<FoundService> found, Reach reach, ContainerNews news, TimeSpan now)
    {
        foreach (var known in _known.Values)
            known.Now = null;
        foreach (var service in found)
            Find(service);
        _stops.BeginRound();
        foreach (var (key, known) in _known)
        {
            if (known.Now is { } service)
                Look(service, known, reach, news, now);
            else
                Miss(key, known, now);
        }
        _stops.EndRound();
        _reach = reach;
        foreach (var (key, known) in _known)
            _isChanged |= known.Publish(CatalogName(key));
        if (!_isChanged)
            return null;
        var catalog = Assemble();
        if (!_hasBuilt)
            Log.ServicesFound(log, catalog.Seen.Length, catalog.Services.Length);
        _hasBuilt = true;
        _isChanged = false;
        return catalog;
    }

    /// <summary>
    /// A service that was deleted and created again has two entries for a moment: the new one's labels hold, and the
    /// tasks of the old one still serve.
    /// </summary>
    private void Find(FoundService found)
    {
        var key = (found.Origin, found.Name);
        if (!_known.TryGetValue(key, out var known))
            _known[key] = known = new KnownService();
        known.Now = known.Now is not { } other ? found
            : other.IsRemoved && !found.IsRemoved ? found with { Instances = [.. found.Instances, .. other.Instances] }
            : other with { Instances = [.. other.Instances, .. found.Instances] };
    }

    private ServiceCatalog Assemble()
    {
        var services = ImmutableArray.CreateBuilder<Service>(_known.Count);
        var certificates = ImmutableArray.CreateBuilder<ServiceCertificate>();
        var seen = ImmutableArray.CreateBuilder<SeenService>(_known.Count);
        foreach (var known in _known.Values)
        {
            if (known.Service is { } service)
                services.Add(service);
            if (known.ServiceCertificate is { } certificate)
                certificates.Add(certificate);
            if (known.Shown is { } shown)
                seen.Add(shown);
        }
        services.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        certificates.Sort(static (a, b) => string.CompareOrdinal(a.Service, b.Service));
        seen.Sort(static (a, b) =>
            string.CompareOrdinal(a.Name, b.Name) is var order && order != 0 ? order : a.Origin.CompareTo(b.Origin));
        return new ServiceCatalog(services.DrainToImmutable())
        {
            Seen = seen.DrainToImmutable(), Certificates = certificates.DrainToImmutable(),
        };
    }

    /// <summary>Takes a service in, if anything of it is not as it was when it was last taken in.</summary>
    private void Look(FoundService found, KnownService known, Reach reach, ContainerNews news, TimeSpan now)
    {
        var isNew = !ReferenceEquals(found, known.Taken);
        if (isNew)
            known.HasLabels = HasMillauLabels(found);
        var sights = Watch(found, known.HasLabels, news, now);
        if (!isNew && ReferenceEquals(reach, _reach) && sights.SequenceEqual(known.Sights.AsSpan()))
            return;
        ImmutableArray<InstanceSight> seen = [.. sights];
        known.Said.BeginRound();
        Take(found, seen, known, reach);
        known.Said.EndRound();
        known.MissingSince = found.IsRemoved ? known.MissingSince ?? now : null;
        known.IsTouched = true;
        // Not before all of that is done: what fails is tried again in the next round.
        known.Sights = seen;
        known.Taken = found;
    }

    /// <summary>What time and events make of each instance. Who is to stop is watched from here. Overwritten by the next call.</summary>
    private ReadOnlySpan<InstanceSight> Watch(FoundService found, bool hasLabels, ContainerNews news, TimeSpan now)
    {
        var instances = found.Instances;
        if (_sights.Length < instances.Length)
            _sights = new InstanceSight[instances.Length];
        // Plain containers get no notice: what is listed as stopping there is unhealthy, and stays so. And time changes nothing of a
        // service that is not routed.
        var isWatched = found.Origin == ServiceOrigin.Swarm && hasLabels;
        for (var i = 0; i < instances.Length; i++)
        {
            var instance = instances[i];
            var listed = isWatched ? _stops.Judge(instance.Id, instance.Phase, now) : instance.Phase;
            _sights[i] = new InstanceSight(
                news.Judge(instance.ContainerId, listed, now), news.Epoch(instance.ContainerId),
                instance.IsUnhealthy || news.IsUnhealthy(instance.ContainerId, now));
        }
        return _sights.AsSpan(0, instances.Length);
    }

    private static bool HasMillauLabels(FoundService found)
    {
        foreach (var (name, _) in found.Labels)
        {
            if (ServiceLabels.IsMillau(name))
                return true;
        }

        return false;
    }

    private void Take(FoundService found, ImmutableArray<InstanceSight> sights, KnownService known, Reach reach)
    {
        var reading = ServiceLabels.Read(found.Labels);
        if (options.AllowedHosts is { } claims)
        {
            reading = claims.Check(found, reading);
            var claim = new HostClaim(claims, HostClaims.StackOf(found));
            known.Claim = claim;
            // Another stack has it now: what only the former one may claim does not stay in force.
            if (known.LastGood is { } last && !last.Hosts.All(claim.Permits))
                known.LastGood = null;
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
        var instances = labels is null ? [] : Instances(found, sights, known, labels, reach, out noNetwork, out own);
        if (instances.IsEmpty && noNetwork is var (its, ours))
            reason = $"no shared network: it is on {its}, Millau reaches {ours}";
        else if (instances.IsEmpty && own.Length > 0)
            reason = own;
        if (reason.Length > 0)
            labels = null;

        LogChange(found, known, labels, instances.Length, reason, reading.HasAny);
        known.Labels = labels;
        known.Instances = instances;
        known.IsStarting = found.IsStarting;
        known.Reason = reason;
        known.Seen = See(WithNews(found, sights), reading, labels, reason, instances.Length, noNetwork, own);
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
    private static FoundService WithNews(FoundService found, ImmutableArray<InstanceSight> sights) => found with
    {
        Instances = [.. found.Instances.Select((instance, i) => instance with { IsUnhealthy = sights[i].IsUnhealthy })],
    };

    /// <summary>A service that is no longer found is known but down for a while, then forgotten.</summary>
    private void Miss((ServiceOrigin Origin, string Name) key, KnownService known, TimeSpan now)
    {
        if (known.Taken is not null)
        {
            known.Taken = null;
            known.Instances = [];
            known.IsStarting = false;
            known.Said.Forget();
            if (known.MissingSince is null && known.Labels is not null)
                Log.ServiceRemoved(log, key.Name);
            known.MissingSince ??= now;
            known.Seen = known.Seen! with { Problems = [Diagnosis.Removed], Unhealthy = [] };
            known.IsTouched = true;
        }
        if (known.Labels is not null && now - known.MissingSince < options.Timing.KeepRemoved)
            return;
        if (known.Labels is not null)
            Log.ServiceForgotten(log, key.Name);
        _known.Remove(key);
        _isChanged |= known.IsPublished;
    }

    private void Say(FoundService found, LabelReading reading, KnownService known)
    {
        if (found.IsRemoved)
            return;
        var result = reading.Verdict == LabelVerdict.Off ? "not routed"
            : known.LastGood is null ? "not routed until it is right"
            : "last good routing kept";
        foreach (var problem in reading.Problems)
        {
            var (label, value) = (LogText.Clean(problem.Label), LogText.Clean(problem.Value));
            if (known.Said.IsNew(problem.Label, problem.Value + problem.Allowed))
                Log.WrongLabel(log, found.Name, label, value, problem.Allowed, result);
        }

        if (found.Notice.Length > 0 && known.Said.IsNew("", found.Notice))
            Log.WrongDeployment(log, found.Name, LogText.Clean(found.Notice));
    }

    private ImmutableArray<Instance> Instances(
        FoundService found, ImmutableArray<InstanceSight> sights, KnownService known, ServiceLabels labels, Reach reach,
        out (string Its, string Ours)? noNetwork, out string own)
    {
        noNetwork = null;
        own = "";
        var result = ImmutableArray.CreateBuilder<Instance>(found.Instances.Length);
        FoundInstance? unreachable = null;
        for (var i = 0; i < found.Instances.Length; i++)
        {
            var instance = found.Instances[i];
            if (sights[i].Phase is not { } phase)
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
                Epoch = sights[i].Epoch,
            });
        }

        result.Sort(static (a, b) =>
            string.CompareOrdinal(a.Name, b.Name) is var order && order != 0 ? order : string.CompareOrdinal(a.Id, b.Id));
        if (unreachable is null)
            return result.DrainToImmutable();
        var its = string.Join(',', unreachable.Addresses.Select(a => a.NetworkName).Distinct().Order(StringComparer.Ordinal));
        if (its.Length == 0)
            its = "none";
        if (known.Said.IsNew("network", $"{its} {reach.Describe()}"))
            Log.NoSharedNetwork(log, found.Name, its, reach.Describe());
        noNetwork = (its, reach.Describe());
        return result.DrainToImmutable();
    }

    private void LogChange(
        FoundService found, KnownService known, ServiceLabels? labels, int instances, string reason, bool hasLabels)
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
}
