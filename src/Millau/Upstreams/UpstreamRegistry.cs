using System.Collections.Immutable;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Millau.Discovery;
using Millau.Tls;

namespace Millau.Upstreams;

/// <summary>
/// Keeps one <see cref="UpstreamInstance"/> for each instance of the latest catalog, so that health and connections
/// outlive catalogs and route tables, and one <see cref="UpstreamService"/> for each service, for as long as nothing of it changes.
/// Called by one thread at a time, but for <see cref="Instances"/> and <see cref="Services"/>.
/// </summary>
internal sealed class UpstreamRegistry(
    UpstreamHeartbeat heartbeat, InstanceProbe probe, Availability availability, TlsMaterials tls, TimeProvider time, ILogger logger)
{
    private readonly Dictionary<string, Taken> _taken = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Id, IPEndPoint EndPoint), KnownInstance> _instances = [];
    private int _round;

    // Never changed once it is here: a new catalog makes a new one.
    private volatile UpstreamService[] _services = [];

    private sealed class Taken(Service asked, UpstreamService upstream)
    {
        public Service Asked => asked;

        public UpstreamService Upstream => upstream;

        /// <summary>The latest catalog that had it.</summary>
        public int Round { get; set; }
    }

    private readonly record struct KnownInstance(UpstreamInstance Instance, int Epoch);

    /// <summary>What a catalog became.</summary>
    /// <param name="Services">One for each service of the catalog, in its order.</param>
    /// <param name="Changed">Services that came, went or differ from the catalog before, as they were and as they are.</param>
    /// <param name="Gone">Instances that the catalog no longer has; to be retired once no new request finds them.</param>
    internal readonly record struct Update(
        ImmutableArray<UpstreamService> Services, List<Service> Changed, List<UpstreamInstance> Gone);

    /// <summary>All instances of the latest catalog. Any thread.</summary>
    public IEnumerable<UpstreamInstance> Instances => _services.SelectMany(static s => s.Instances);

    /// <summary>The services of the latest catalog. Any thread.</summary>
    public IReadOnlyList<UpstreamService> Services => _services;

    /// <summary>
    /// Takes over a catalog. Instances that were known before keep their state; new ones are probed. A service that is the same
    /// object as in the catalog before is passed over.
    /// </summary>
    public Update Take(ServiceCatalog catalog)
    {
        _round++;
        var services = new UpstreamService[catalog.Services.Length];
        var changed = new List<Service>();
        var left = new HashSet<(string, IPEndPoint)>();
        var anew = new List<int>();
        for (var i = 0; i < services.Length; i++)
        {
            var service = catalog.Services[i];
            if (_taken.TryGetValue(service.Name, out var taken))
            {
                taken.Round = _round;
                services[i] = taken.Upstream;
                if (ReferenceEquals(taken.Asked, service)) continue;
                Leave(taken.Asked, changed, left);
            }
            changed.Add(service);
            anew.Add(i);
        }
        foreach (var (name, taken) in _taken)
        {
            if (taken.Round == _round) continue;
            Leave(taken.Asked, changed, left);
            _taken.Remove(name);
        }
        // Only now: an instance may have gone from one service to another.
        var fresh = new List<UpstreamInstance>();
        foreach (var i in anew)
        {
            var service = catalog.Services[i];
            services[i] = Take(service, services[i]?.Retries ?? new RetryBudget(time), left, fresh);
            _taken[service.Name] = new Taken(service, services[i]) { Round = _round };
        }
        var gone = new List<UpstreamInstance>();
        foreach (var key in left)
            if (_instances.Remove(key, out var instance)) gone.Add(instance.Instance);
        foreach (var instance in fresh) _ = probe.RunAsync(instance);
        _services = services;
        return new Update(ImmutableCollectionsMarshal.AsImmutableArray(services), changed, gone);
    }

    /// <summary>Ends the use of instances that are gone, and lets waiting requests look at the new state.</summary>
    public void Finish(Update update)
    {
        foreach (var instance in update.Gone)
        {
            instance.Retire();
            Log.InstanceGone(logger, instance.Service.Name, instance.Name, instance.EndPoint);
        }
        availability.Change();
    }

    /// <summary>The end of the process: closes what is idle, without a word for each instance.</summary>
    public void Close()
    {
        foreach (var instance in Instances) instance.Retire();
    }

    private static void Leave(Service service, List<Service> changed, HashSet<(string, IPEndPoint)> left)
    {
        changed.Add(service);
        foreach (var instance in service.Instances) left.Add((instance.Id, instance.EndPoint));
    }

    private UpstreamService Take(
        Service service, RetryBudget retries, HashSet<(string, IPEndPoint)> left, List<UpstreamInstance> fresh)
    {
        var instances = ImmutableArray.CreateBuilder<UpstreamInstance>(service.Instances.Length);
        foreach (var instance in service.Instances)
        {
            left.Remove((instance.Id, instance.EndPoint));
            instances.Add(Take(service.Name, instance, fresh));
        }
        var upstream = new UpstreamService(service.Name, service.Timeout, service.Retry, instances.MoveToImmutable(), service.IsStarting)
        {
            RedirectsToHttps = service.RedirectsToHttps,
            Tls = tls.ForInstances(service.Name),
            Retries = retries,
            ClientAuthority = tls.ForClients(service.Name),
        };
        foreach (var instance in upstream.Instances) instance.Service = upstream;
        return upstream;
    }

    private UpstreamInstance Take(string service, Instance instance, List<UpstreamInstance> fresh)
    {
        var key = (instance.Id, instance.EndPoint);
        if (!_instances.TryGetValue(key, out var entry))
        {
            entry = new KnownInstance(new UpstreamInstance(instance.Id, instance.Name, instance.EndPoint, heartbeat), instance.Epoch);
            fresh.Add(entry.Instance);
        }
        else if (entry.Epoch != instance.Epoch)
        {
            entry = entry with { Epoch = instance.Epoch };
            // Its port may be shut for a while. A probe that still runs does for this start too.
            if (entry.Instance.IsAccepting) fresh.Add(entry.Instance);
            entry.Instance.Restart();
        }
        if (entry.Instance.Phase != instance.Phase)
        {
            var ran = entry.Instance.Phase == InstancePhase.Running;
            entry.Instance.Phase = instance.Phase;
            if (ran)
                Log.InstanceStopping(logger, service, instance.Name, instance.EndPoint);
        }
        _instances[key] = entry;
        return entry.Instance;
    }
}
