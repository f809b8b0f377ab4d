using System.Collections.Immutable;
using Millau.Discovery;
using Millau.Tls;

namespace Millau.Upstreams;

/// <summary>
/// All services that answer for one host and path: the candidates of one route. Chooses round-robin over all
/// instances of all its services, each equal.
/// </summary>
internal sealed class UpstreamGroup
{
    private readonly UpstreamInstance[] _instances;
    private uint _turn = uint.MaxValue;
    private uint _spareTurn = uint.MaxValue;

    public UpstreamGroup(ImmutableArray<UpstreamService> services)
    {
        Services = services;
        var count = 0;
        foreach (var service in services) count += service.Instances.Length;
        ClientAuthorities = [.. services.Select(s => s.ClientAuthority).OfType<ClientAuthority>()];
        _instances = new UpstreamInstance[count];
        foreach (var service in services)
        {
            service.Instances.CopyTo(_instances, _instances.Length - count);
            count -= service.Instances.Length;
            RedirectsToHttps |= service.RedirectsToHttps;
        }
        // Tables change often and groups with them: if each began anew, its first instance would get more than the others.
        if (_instances.Length > 0) _turn = _instances[0].LastTurn;
    }

    public ImmutableArray<UpstreamService> Services { get; }

    /// <summary>
    /// One of the services wants its requests on https. That holds for all of them: the same address there has the same
    /// group, and which of them a request would meet is chance.
    /// </summary>
    public bool RedirectsToHttps { get; }

    /// <summary>
    /// The CAs that a request needs a client certificate of, each of them; empty if it needs none. If one service demands
    /// one, all requests of the group do: which service a request would meet is chance.
    /// </summary>
    public ImmutableArray<ClientAuthority> ClientAuthorities { get; }

    /// <summary>An instance is on its way up, so that waiting may help.</summary>
    public bool IsStarting
    {
        get
        {
            foreach (var service in Services)
                if (service.IsStarting) return true;
            foreach (var instance in _instances)
                if (instance.IsStarting) return true;
            return false;
        }
    }

    /// <summary>
    /// The next instance that can take a request and was not tried yet: a ready one, else one that is about to stop.
    /// </summary>
    public UpstreamInstance? Pick(List<UpstreamInstance> tried)
    {
        if (_instances.Length == 0) return null;
        var turn = Interlocked.Increment(ref _turn);
        _instances[0].LastTurn = turn;
        var next = _instances[turn % (uint)_instances.Length];
        if (next.IsReady && !tried.Contains(next)) return next;
        return PickOther(tried, static i => i.IsReady) ?? PickOther(tried, static i => i.IsLastResort);
    }

    /// <summary>One that may close at any moment, and was not tried yet.</summary>
    public UpstreamInstance? PickClosing(List<UpstreamInstance> tried) => PickOther(tried, static i => i.IsClosing);

    /// <summary>
    /// Of the instances that are left out, or have not accepted a connection for long, the one that has waited longest.
    /// One that has just started is waited for instead: to be refused by it tells nothing.
    /// </summary>
    public UpstreamInstance? PickLeftOut(List<UpstreamInstance> tried)
    {
        UpstreamInstance? longest = null;
        foreach (var instance in _instances)
        {
            if (instance.IsRetired || instance.IsStarting || instance.Phase == InstancePhase.Closing) continue;
            if (tried.Contains(instance)) continue;
            if (longest is null || instance.LeftOutUntil < longest.LeftOutUntil) longest = instance;
        }
        return longest;
    }

    // The turn fell on an instance that cannot serve: its share is spread evenly over those that can, rather than
    // given to its neighbour.
    private UpstreamInstance? PickOther(List<UpstreamInstance> tried, Func<UpstreamInstance, bool> isCandidate)
    {
        var count = 0;
        foreach (var instance in _instances)
            if (isCandidate(instance) && !tried.Contains(instance)) count++;
        if (count == 0) return null;
        var turn = (int)(Interlocked.Increment(ref _spareTurn) % (uint)count);
        UpstreamInstance? found = null;
        foreach (var instance in _instances)
        {
            // States may change between the two rounds; the last candidate seen does then.
            if (!isCandidate(instance) || tried.Contains(instance)) continue;
            found = instance;
            if (turn-- == 0) break;
        }
        return found;
    }
}
