using System.Collections.Immutable;
using System.Net;
using CsCheck;
using Microsoft.Extensions.Time.Testing;
using Millau.Discovery;
using Millau.Routing;
using Millau.Tls;
using Millau.Upstreams;

namespace Millau.Tests.Routing;

/// <summary>A table that was made of the one before is the one that would have been made of nothing.</summary>
public class RouteTableChangeTests
{
    private static readonly string[] Hosts = ["*", "com", "a.com", "b.com", "x.a.com", "y.x.a.com", "local"];
    private static readonly string[] Paths = ["/", "/a", "/ab", "/b/"];
    private static readonly ImmutableArray<ClientAuthority> Authorities = [new("one"), new("two")];

    private sealed record Asked(int[] Hosts, int Path, bool IsGone, int Authority, int Instances)
    {
        public Service ToService(int number) => new()
        {
            Name = $"s{number}",
            Hosts = [.. Hosts.Select(h => RouteTableChangeTests.Hosts[h])],
            Path = Paths[Path],
            Timeout = TimeSpan.FromSeconds(30),
            Retry = TimeSpan.FromSeconds(60),
            Instances = [.. Enumerable.Range(0, Instances).Select(i => new Instance(
                $"t{number}-{i}", $"t{number}-{i}", new IPEndPoint(IPAddress.Loopback, 1000 + i), InstancePhase.Running))],
            IsRemoved = IsGone,
        };
    }

    private static readonly Gen<Asked?> AnyService = Gen.Select(
        Gen.Int[0, Hosts.Length - 1].Array[1, 3], Gen.Int[0, Paths.Length - 1], Gen.Int[0, 9], Gen.Int[-6, Authorities.Length - 1],
        Gen.Int[0, 4], Gen.Int[0, 2]).Select((hosts, path, gone, authority, absent, instances) =>
            absent == 0 ? null : new Asked(hosts, path, gone == 0, authority, instances));

    /// <summary>A step changes some services, each by its place: to another, or to none.</summary>
    private static readonly Gen<(int Place, Asked? To)[][]> Steps =
        Gen.Select(Gen.Int[0, 7], AnyService).Array[1, 4].Array[1, 12];

    [Fact]
    public void Changes_one_after_the_other_make_the_table_that_all_at_once_make() => Steps.Sample(
        steps =>
        {
            using var heartbeat = new UpstreamHeartbeat(new FakeTimeProvider());
            var services = new (Service Service, UpstreamService Upstream)?[8];
            var table = RouteTable.Empty;
            foreach (var step in steps)
            {
                var before = services.OfType<(Service Service, UpstreamService)>().Select(s => s.Service).ToList();
                foreach (var (place, to) in step)
                {
                    services[place] = to?.ToService(place) is not { } service ? null
                        : (service, new UpstreamService(service.Name, service.Timeout, service.Retry,
                            [.. service.Instances.Select(i => new UpstreamInstance(i.Id, i.Name, i.EndPoint, heartbeat))], IsStarting: false)
                        {
                            ClientAuthority = to.Authority < 0 ? null : Authorities[to.Authority],
                        });
                }
                var now = services.OfType<(Service Service, UpstreamService Upstream)>().ToList();
                var catalog = new ServiceCatalog([.. now.Select(s => s.Service)]);
                ImmutableArray<UpstreamService> upstreams = [.. now.Select(s => s.Upstream)];
                var changed = new HashSet<Service>(before, ReferenceEqualityComparer.Instance);
                changed.SymmetricExceptWith(catalog.Services);
                var last = table;

                table = RouteTableBuilder.Build(last, changed, catalog, upstreams);

                Assert.Equal(Describe(RouteTableBuilder.Build(catalog, upstreams), upstreams), Describe(table, upstreams));
                var hosts = changed.SelectMany(s => s.Hosts).ToHashSet();
                foreach (var (name, host) in last.Hosts)
                    if (!hosts.Contains(name)) Assert.Same(host, table.Hosts[name]);
            }
        },
        iter: 2_000);

    [Fact]
    public void What_handshakes_have_prepared_for_a_host_outlives_changes_elsewhere()
    {
        var one = (Service: new Asked([2], 0, false, 0, 0).ToService(0), Authority: Authorities[0]);
        var other = new Asked([3], 0, false, -1, 0).ToService(1);
        var upstream = new UpstreamService("s0", TimeSpan.Zero, TimeSpan.Zero, [], IsStarting: false) { ClientAuthority = one.Authority };
        var table = RouteTableBuilder.Build(new ServiceCatalog([one.Service]), [upstream]);

        var next = RouteTableBuilder.Build(table, [other], new ServiceCatalog([one.Service, other]),
            [upstream, new UpstreamService("s1", TimeSpan.Zero, TimeSpan.Zero, [], IsStarting: false)]);

        Assert.NotNull(table.FindClientDemand("a.com"));
        Assert.Same(table.FindClientDemand("a.com"), next.FindClientDemand("x.a.com"));
    }

    /// <summary>All that requests and people can see of a table.</summary>
    private static List<string> Describe(RouteTable table, ImmutableArray<UpstreamService> upstreams)
    {
        List<string> lines = [.. table.Routes.Select(r => $"{r}: {Members(r)}")];
        foreach (var host in (string[])[.. Hosts, "z.y.x.a.com", "other", "q.local", ""])
        {
            foreach (var path in (string[])["/", "/abc", "/b/c", "/b"])
            {
                var line = $"{host}{path} →";
                for (var walk = table.Match(host, path.AsMemory()); walk.Current is { } route; walk.MoveNext())
                    line += $" {route}({Members(route)})";
                lines.Add(line);
            }
            lines.Add($"{host} demands {string.Join(',', (table.FindClientDemand(host)?.Authorities ?? []).Select(a => Authorities.IndexOf(a)).Order())}");
        }
        return lines;

        // By identity: one that is of a former catalog is none of these.
        string Members(Route route) => string.Join(
            ',', route.Group.Services.Select(s => upstreams.IndexOf(s, 0, ReferenceEqualityComparer.Instance)));
    }
}
