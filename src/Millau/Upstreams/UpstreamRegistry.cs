using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging;
using Millau.Discovery;
using Millau.Tls;

namespace Millau.Upstreams;

/// <summary>
/// Keeps one <see cref="UpstreamInstance"/> for each instance of the latest catalog, so that health and connections
/// outlive catalogs and route tables. Called by one thread at a time, but for <see cref="Instances"/> and <see cref="Services"/>.
/// </summary>
internal sealed class UpstreamRegistry(
    UpstreamHeartbeat heartbeat, InstanceProbe probe, Availability availability, TlsMaterials tls, TimeProvider time, ILogger logger)
{
    // Never changed once it is here: a new catalog makes a new one.
    private volatile Dictionary<(string Id, IPEndPoint EndPoint), Known> _known = [];
    private Dictionary<string, RetryBudget> _budgets = [];

    private volatile UpstreamService[] _services = [];

    private readonly record struct Known(UpstreamInstance Instance, int Epoch);

    /// <summary>What a catalog became.</summary>
    /// <param name="Services">One for each service of the catalog, in its order.</param>
    /// <param name="Gone">Instances that the catalog no longer has; to be retired once no new request finds them.</param>
    internal readonly record struct Update(ImmutableArray<UpstreamService> Services, List<UpstreamInstance> Gone);

    /// <summary>All instances of the latest catalog. Any thread.</summary>
    public IEnumerable<UpstreamInstance> Instances => _known.Values.Select(static k => k.Instance);

    /// <summary>The services of the latest catalog. Any thread.</summary>
    public IReadOnlyList<UpstreamService> Services => _services;

    /// <summary>Takes over a catalog. Instances that were known before keep their state; new ones are probed.</summary>
    public Update Take(ServiceCatalog catalog)
    {
        var known = new Dictionary<(string, IPEndPoint), Known>(_known.Count);
        var budgets = new Dictionary<string, RetryBudget>(_budgets.Count);
        var fresh = new List<UpstreamInstance>();
        var services = ImmutableArray.CreateBuilder<UpstreamService>(catalog.Services.Length);
        foreach (var service in catalog.Services)
        {
            var instances = ImmutableArray.CreateBuilder<UpstreamInstance>(service.Instances.Length);
            foreach (var instance in service.Instances) instances.Add(Take(service.Name, instance, known, fresh));
            budgets[service.Name] = _budgets.GetValueOrDefault(service.Name) ?? new RetryBudget(time);
            var upstream = new UpstreamService(
                service.Name, service.Timeout, service.Retry, instances.MoveToImmutable(), service.IsStarting)
            {
                RedirectsToHttps = service.RedirectsToHttps,
                Tls = tls.ForInstances(service.Name),
                Retries = budgets[service.Name],
                ClientAuthority = tls.ForClients(service.Name),
            };
            foreach (var instance in upstream.Instances) instance.Service = upstream;
            services.Add(upstream);
        }
        var gone = new List<UpstreamInstance>();
        foreach (var (key, value) in _known)
            if (!known.ContainsKey(key)) gone.Add(value.Instance);
        _known = known;
        _budgets = budgets;
        foreach (var instance in fresh) _ = probe.RunAsync(instance);
        _services = [.. services];
        return new Update(services.MoveToImmutable(), gone);
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
        foreach (var known in _known.Values) known.Instance.Retire();
    }

    private UpstreamInstance Take(
        string service, Instance instance, Dictionary<(string, IPEndPoint), Known> known, List<UpstreamInstance> fresh)
    {
        var key = (instance.Id, instance.EndPoint);
        if (!_known.TryGetValue(key, out var entry))
        {
            entry = new Known(new UpstreamInstance(instance.Id, instance.Name, instance.EndPoint, heartbeat), instance.Epoch);
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
        known[key] = entry;
        return entry.Instance;
    }
}
