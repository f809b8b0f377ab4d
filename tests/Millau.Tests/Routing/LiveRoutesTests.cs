using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Millau.Discovery;
using Millau.Routing;
using Millau.Tls;
using Millau.Upstreams;

namespace Millau.Tests.Routing;

public class LiveRoutesTests
{
    [Fact]
    public void What_went_while_a_catalog_could_not_be_applied_is_gone_once_one_can()
    {
        var time = new FakeTimeProvider();
        using var heartbeat = new UpstreamHeartbeat(time);
        var availability = new Availability();
        using var materials = new TlsMaterials(new SecretFiles("/nonexistent"), time, NullLogger.Instance);
        var probe = new InstanceProbe(heartbeat, loops: null, availability, time, NullLogger.Instance);
        var routes = new LiveRoutes(new UpstreamRegistry(heartbeat, probe, availability, materials, time, NullLogger.Instance));
        var (stays, goes, comes) = (Service("stays"), Service("goes"), Service("comes"));
        routes.Apply(new ServiceCatalog([goes, stays]));

        Assert.ThrowsAny<Exception>(() => routes.Apply(new ServiceCatalog([comes with { Hosts = default }, stays])));
        Assert.Equal(["goes.test", "stays.test"], routes.Table.Routes.Select(r => r.Host));
        routes.Apply(new ServiceCatalog([comes, stays]));

        Assert.Equal(["comes.test", "stays.test"], routes.Table.Routes.Select(r => r.Host));
    }

    private static Service Service(string name) => new()
    {
        Name = name,
        Hosts = [name + ".test"],
        Path = "/",
        Timeout = TimeSpan.FromSeconds(30),
        Retry = TimeSpan.FromSeconds(60),
        Instances = [],
    };
}
