using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Millau.Discovery;
using Millau.Routing;
using Millau.Tls;
using Millau.Upstreams;

namespace Millau.Tests.Routing;

/// <summary>From what is found to the table: the price of a change, in bytes, which are counted and do not vary as times do.</summary>
public class ChangeCostTests
{
    private const int Many = 10_000;

    // Places in lists and maps of all services; what is made for a service anew is thousands.
    private const int BytesForEach = 64;

    [Fact]
    public void A_change_makes_nothing_for_each_service_that_did_not_change()
    {
        var time = new FakeTimeProvider();
        using var heartbeat = new UpstreamHeartbeat(time);
        var availability = new Availability();
        using var materials = new TlsMaterials(new SecretFiles("/nonexistent"), time, NullLogger.Instance);
        var probe = new InstanceProbe(heartbeat, loops: null, availability, time, NullLogger.Instance);
        var routes = new LiveRoutes(new UpstreamRegistry(heartbeat, probe, availability, materials, time, NullLogger.Instance));
        var builder = new CatalogBuilder(new DiscoveryOptions { Endpoint = EngineEndpoint.LocalSocket }, NullLogger.Instance);
        var reach = new Reach(ImmutableDictionary<string, string>.Empty.Add("net1", "millau"), [], false);
        var news = new ContainerNews(TimeSpan.FromSeconds(30));
        var found = Enumerable.Range(0, Many).Select(i => Found(i, $"s{i}.test")).ToArray();
        Change();

        found[4711] = Found(4711, "new.test");
        var before = GC.GetAllocatedBytesForCurrentThread();
        Change();
        var bytes = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal("new.test", routes.Table.Match("new.test", "/".AsMemory()).Current?.Host);
        Assert.Null(routes.Table.Match("s4711.test", "/".AsMemory()).Current);
        Assert.Equal("s4712.test", routes.Table.Match("s4712.test", "/".AsMemory()).Current?.Host);
        Assert.InRange(bytes, 1, Many * BytesForEach);

        void Change() => routes.Apply(builder.Build(found, reach, news, TimeSpan.Zero)!);
    }

    // All have the same, so that only these are tried whether they accept.
    private static readonly ImmutableArray<FoundInstance> Instances = [.. Enumerable.Range(1, 3).Select(i => new FoundInstance(
        $"t{i}", $"t{i}", $"c{i}", InstancePhase.Running, [new("net1", "millau", IPAddress.Parse($"127.0.0.{i}"))]))];

    private static FoundService Found(int number, string host) => new()
    {
        Origin = ServiceOrigin.Swarm,
        Name = $"s{number}",
        Labels = new Dictionary<string, string?> { ["millau.enabled"] = "true", ["millau.port"] = "1", ["millau.hosts"] = host },
        Instances = Instances,
    };
}
