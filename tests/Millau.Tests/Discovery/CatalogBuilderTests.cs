using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

public sealed class CatalogBuilderTests : ILogger
{
    private static readonly Reach Ours = new(
        ImmutableDictionary<string, string>.Empty.Add("net1", "millau").Add("net0", "aaa"), [], false);

    private readonly CatalogBuilder _builder;
    private readonly ContainerNews _news = new(TimeSpan.FromSeconds(30));
    private readonly List<(LogLevel Level, string Text)> _lines = [];

    public CatalogBuilderTests() => _builder = new CatalogBuilder(new DiscoveryOptions { Endpoint = EngineEndpoint.LocalSocket, OwnContainerId = "own" }, this);

    [Fact]
    public void The_same_state_yields_no_second_catalog()
    {
        Assert.NotNull(Build(0, App()));
        Assert.Null(Build(1, App()));
        Assert.NotNull(Build(2, App(("millau.path", "/x"))));
    }

    [Fact]
    public void A_wrong_label_keeps_the_last_good_routing_and_touches_no_other_service()
    {
        Build(0, App(("millau.path", "/good")), App() with { Name = "other" });
        var catalog = Build(1, App(("millau.path", "bad")), App(("millau.path", "/new")) with { Name = "other" })!;
        Assert.Equal(["/good", "/new"], catalog.Services.Select(s => s.Path));
        Assert.Equal(["wrong label service=app label=millau.path value=\"bad\" allowed=\"" + Millau.Routing.PathPrefix.Allowed
                      + "\" result=\"last good routing kept\""], Warnings());
    }

    [Fact]
    public void A_wrong_label_without_a_good_past_leaves_the_service_unrouted_with_its_reason()
    {
        var catalog = Build(0, App(("millau.port", "abc")))!;
        Assert.Empty(catalog.Services);
        var seen = Assert.Single(catalog.Seen);
        Assert.Equal(("app", null, "wrong labels: millau.port"), (seen.Name, seen.RoutedAs, seen.Reason));
        Assert.Contains("result=\"not routed until it is right\"", Assert.Single(Warnings()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_mistake_is_said_once_for_each_change()
    {
        Build(0, App(("millau.port", "abc")));
        Build(1, App(("millau.port", "abc")));
        Assert.Single(Warnings());
        Build(2, App(("millau.port", "def")));
        Assert.Equal(2, Warnings().Count);
        Build(3, App());
        Build(4, App(("millau.port", "def")));
        Assert.Equal(3, Warnings().Count);
        Assert.NotNull(_lines.Find(l => l.Text.StartsWith("service routed service=app hosts=* path=/ port=80", StringComparison.Ordinal)).Text);
    }

    [Fact]
    public void A_service_that_is_switched_off_leaves_at_once_and_forgets_its_routing()
    {
        Build(0, App());
        Assert.Empty(Build(1, App(("millau.enabled", "false")))!.Services);
        Assert.Null(Build(2, App(("millau.enabled", "false"))));
        Assert.Empty(Build(3, App(("millau.enabled", "perhaps")))!.Services);
        Assert.Equal(1, _lines.Count(l => l.Text == "service no longer routed service=app reason=\"millau.enabled is not true\""));
    }

    [Fact]
    public void Certificates_are_carried_also_of_services_that_are_off_and_their_change_is_a_change()
    {
        var off = App(("millau.enabled", "false"), ("millau.cert", "c1"), ("millau.key", "k1"));
        var catalog = Build(0, off)!;
        Assert.Empty(catalog.Services);
        Assert.Equal(new ServiceCertificate("app", "c1", "k1"), Assert.Single(catalog.Certificates));
        Assert.Null(Build(1, off));
        Assert.Equal("c2", Build(2, App(("millau.cert", "c2"), ("millau.key", "k1")))!.Certificates[0].Certificate);
        Assert.Empty(Build(3, App())!.Certificates);
    }

    [Fact]
    public void Half_a_pair_keeps_the_last_whole_one_and_other_mistakes_keep_none_back()
    {
        Build(0, App(("millau.cert", "c1"), ("millau.key", "k1")));
        Assert.Equal("c1", Assert.Single(Build(1, App(("millau.cert", "c2")))!.Certificates).Certificate);
        var catalog = Build(2, App(("millau.cert", "c3"), ("millau.key", "k3"), ("millau.port", "abc")))!;
        Assert.Equal("c3", Assert.Single(catalog.Certificates).Certificate);
        Assert.Equal("/", Assert.Single(catalog.Services).Path);
    }

    [Fact]
    public void The_certificate_of_a_removed_service_goes_when_the_service_is_forgotten()
    {
        var off = App(("millau.enabled", "false"), ("millau.cert", "c1"), ("millau.key", "k1"));
        Build(0, off);
        Assert.Empty(Build(1, [])!.Certificates);
        Build(2, App(("millau.cert", "c1"), ("millau.key", "k1")));
        Assert.Single(Build(3, [])!.Certificates);
        Assert.Empty(Build(303, [])!.Certificates);
    }

    [Fact]
    public void Of_two_services_of_one_name_each_certificate_has_its_own()
    {
        var off = App(("millau.enabled", "false"), ("millau.cert", "c1"), ("millau.key", "k1"));
        var plain = App(("millau.cert", "c2"), ("millau.key", "k2")) with { Origin = ServiceOrigin.Containers };
        var catalog = Build(0, off, plain)!;
        Assert.Equal(["app", "app@containers"], catalog.Certificates.Select(c => c.Service));
        Assert.Equal("app@containers", Assert.Single(catalog.Services).Name);
    }

    [Fact]
    public void A_removed_service_is_known_but_down_for_five_minutes()
    {
        Build(0, App());
        var down = Assert.Single(Build(10, [])!.Services);
        Assert.Empty(down.Instances);
        Assert.Null(Build(309, []));
        Assert.Empty(Build(310, [])!.Services);
        Assert.Equal(
            ["service removed, known but down for now service=app", "service forgotten, removed some time ago service=app"],
            _lines.TakeLast(2).Select(l => l.Text));
    }

    [Fact]
    public void A_service_deleted_and_created_again_has_the_new_labels_and_the_old_tasks_until_they_end()
    {
        Build(0, App());
        var old = App() with { IsRemoved = true, Instances = [Instance("old", InstancePhase.Stopping)] };
        var anew = App(("millau.path", "/new")) with { Instances = [Instance("new")] };
        var service = Assert.Single(Build(1, old, anew)!.Services);
        Assert.Equal("/new", service.Path);
        Assert.Equal(["new", "old"], service.Instances.Select(i => i.Id));
    }

    [Fact]
    public void A_swarm_service_and_containers_of_one_name_are_both_routed()
    {
        var plain = App() with { Origin = ServiceOrigin.Containers };
        Assert.Equal(["app"], Build(0, plain)!.Services.Select(s => s.Name));
        Assert.Equal(["app", "app@containers"], Build(1, plain, App())!.Services.Select(s => s.Name));
        // One that is not routed takes no name away.
        Assert.Equal(["app"], Build(2, plain, App(("millau.enabled", "false")))!.Services.Select(s => s.Name));
    }

    [Fact]
    public void Addresses_are_those_of_a_shared_network_ipv4_first_then_by_network_name()
    {
        var instance = Instance("t") with
        {
            Addresses =
            [
                new("elsewhere", "a", IPAddress.Parse("10.9.0.1")), new("net0", "aaa", IPAddress.Parse("fd00::1")),
                new("net1", "millau", IPAddress.Parse("10.0.1.1")), new("net0", "aaa", IPAddress.Parse("10.0.0.1")),
            ],
        };
        var service = Assert.Single(Build(0, App() with { Instances = [instance] })!.Services);
        Assert.Equal("10.0.0.1:80", Assert.Single(service.Instances).EndPoint.ToString());
    }

    [Fact]
    public void Without_a_shared_network_a_service_is_not_routed_and_both_lists_are_said_once()
    {
        var instance = Instance("t") with { Addresses = [new("net9", "backend", IPAddress.Parse("10.9.0.1"))] };
        var catalog = Build(0, App() with { Instances = [instance] })!;
        Assert.Empty(catalog.Services);
        Assert.Equal("no shared network: it is on backend, Millau reaches aaa,millau", Assert.Single(catalog.Seen).Reason);
        Build(1, App() with { Instances = [instance] });
        Assert.Equal(["no shared network service=app its_networks=backend reachable_networks=aaa,millau"], Warnings());
        // One of two instances is enough.
        Assert.Single(Assert.Single(Build(2, App() with { Instances = [instance, Instance("u")] })!.Services).Instances);
    }

    [Fact]
    public void Subnets_stand_in_where_networks_cannot_be_asked_for_and_the_host_reaches_its_own_ports()
    {
        var guess = new Reach(ImmutableDictionary<string, string>.Empty, [IPNetwork.Parse("10.9.0.0/16")], false);
        var instance = Instance("t") with { Addresses = [new("net9", "x", IPAddress.Parse("10.9.0.1"))] };
        Assert.Equal("10.9.0.1", guess.Choose(instance)!.ToString());
        Assert.Null(guess.Choose(instance with { Addresses = [new("net9", "ingress", IPAddress.Parse("10.9.0.1"))] }));
        var onHost = instance with { Addresses = [], IsOnHostNetwork = true };
        Assert.Null(Ours.Choose(onHost));
        Assert.Equal(IPAddress.Loopback, (Ours with { IsHost = true }).Choose(onHost));
    }

    [Fact]
    public void A_task_that_is_to_stop_is_closing_before_its_signal_comes()
    {
        var stopping = App() with { Instances = [Instance("t", InstancePhase.Stopping)] };
        Build(0, App());
        Assert.Equal(InstancePhase.Stopping, Assert.Single(Build(10, stopping)!.Services[0].Instances).Phase);
        Assert.Equal(TimeSpan.FromSeconds(12.5), _builder.NextChange);
        Assert.Null(Build(12.4, stopping));
        Assert.Equal(InstancePhase.Closing, Assert.Single(Build(12.5, stopping)!.Services[0].Instances).Phase);
        Assert.Null(_builder.NextChange);
        // Called back, as by a rollback: its next stop has its own time.
        Assert.Equal(InstancePhase.Running, Assert.Single(Build(13, App())!.Services[0].Instances).Phase);
        Assert.Equal(InstancePhase.Stopping, Assert.Single(Build(20, stopping)!.Services[0].Instances).Phase);
    }

    [Fact]
    public void The_time_of_a_task_that_is_to_stop_is_not_waited_for_where_nothing_is_routed()
    {
        var stopping = App() with { Labels = [new("other", "label")], Instances = [Instance("t", InstancePhase.Stopping)] };
        Build(0, stopping with { Instances = [Instance("t")] });
        Build(10, stopping);
        Assert.Null(_builder.NextChange);
    }

    [Fact]
    public void What_a_round_found_that_failed_halfway_is_in_the_next_catalog()
    {
        var broken = new BrokenOnce();
        Build(0, App(), App() with { Name = "gone", Labels = [] }, App() with { Name = "other", Labels = [] });

        Assert.Throws<InvalidOperationException>(
            () => Build(1, App(("millau.path", "/x")), App() with { Name = "other", Labels = broken }));
        var catalog = Build(2, App(("millau.path", "/x")), App() with { Name = "other", Labels = broken });

        Assert.Equal("/x", Assert.Single(catalog!.Services).Path);
        Assert.Equal(["app", "other"], catalog.Seen.Select(s => s.Name));
    }

    [Fact]
    public void A_round_that_failed_after_a_service_was_forgotten_does_not_leave_it_in_the_catalog()
    {
        var other = App() with { Name = "other", Labels = [] };
        Build(0, App() with { Name = "gone", Labels = [] }, other);
        var broken = other with { Labels = new BrokenOnce() };
        Assert.Throws<InvalidOperationException>(() => Build(1, broken));
        Assert.Equal("other", Assert.Single(Build(2, other)!.Seen).Name);
    }

    [Fact]
    public void Routing_that_only_the_former_stack_may_claim_does_not_outlive_a_change_of_the_stack()
    {
        Assert.True(HostClaims.TryParse("bank=bank.test; shop=shop.test", out var claims));
        var builder = new CatalogBuilder(new DiscoveryOptions { Endpoint = EngineEndpoint.LocalSocket, AllowedHosts = claims }, this);

        Assert.Equal("bank.test", Routed("bank", "bank.test"));
        Assert.Equal("bank.test", Routed("bank", "shop.test"));
        Assert.Null(Routed("shop", "bank.test"));
        Assert.Equal("shop.test", Routed("shop", "shop.test"));

        string? Routed(string stack, string hosts) => builder.Build(
            [App(("millau.hosts", hosts), ("com.docker.stack.namespace", stack))], Ours, _news, TimeSpan.Zero)!
            .Services.SingleOrDefault()?.Hosts.Single();
    }

    /// <summary>Labels that fail when they are read first.</summary>
    private sealed class BrokenOnce : IEnumerable<KeyValuePair<string, string?>>
    {
        private bool _wasRead;

        public IEnumerator<KeyValuePair<string, string?>> GetEnumerator()
        {
            if (_wasRead) return Enumerable.Empty<KeyValuePair<string, string?>>().GetEnumerator();
            _wasRead = true;
            throw new InvalidOperationException();
        }

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }

    [Fact]
    public void Events_outweigh_the_lists()
    {
        Build(0, App());
        _news.OnKill("c-t", TimeSpan.FromSeconds(1));
        Assert.Equal(InstancePhase.Closing, Assert.Single(Build(1, App())!.Services[0].Instances).Phase);
        _news.OnDie("c-t", TimeSpan.FromSeconds(2));
        Assert.Empty(Build(2, App())!.Services[0].Instances);
        _news.OnStart("c-t", TimeSpan.FromSeconds(3));
        var back = Assert.Single(Build(3, App())!.Services[0].Instances);
        Assert.Equal((InstancePhase.Running, 1), (back.Phase, back.Epoch));
    }

    [Fact]
    public void A_notice_of_a_wrong_deployment_is_said_once()
    {
        Build(0, App() with { Notice = "millau.port: set on the containers" });
        Build(1, App() with { Notice = "millau.port: set on the containers" });
        Assert.Equal(["wrong labels service=app notice=\"millau.port: set on the containers\""], Warnings());
    }

    [Fact]
    public void No_label_can_forge_a_log_line()
    {
        Build(0, App(("millau.port", "1\n2026 ERROR forged")));
        Assert.DoesNotContain('\n', Assert.Single(Warnings()));
    }

    void ILogger.Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter) => _lines.Add((logLevel, formatter(state, exception)));

    bool ILogger.IsEnabled(LogLevel logLevel) => true;

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;

    [Fact]
    public void Millau_itself_is_no_instance()
    {
        var own = Instance("t") with { ContainerId = "own" };

        var catalog = Build(0, App(("millau.port", "9100")) with { Instances = [own] })!;
        Assert.Empty(catalog.Services);
        Assert.Equal("its container is Millau itself", Assert.Single(catalog.Seen, s => s.Name == "app").Reason);

        Assert.Equal("u", Assert.Single(Assert.Single(Build(1, App() with { Instances = [own, Instance("u")] })!.Services).Instances).Id);
    }

    [Theory]
    [InlineData("9100", false)]
    [InlineData("80", false)]
    [InlineData("443", false)]
    [InlineData("8080", true)]
    public void On_the_host_network_no_route_leads_to_a_port_of_Millau_itself(string port, bool routed)
    {
        var builder = new CatalogBuilder(
            new DiscoveryOptions { Endpoint = EngineEndpoint.LocalSocket, OwnContainerId = null, OwnPorts = [80, 443, 9100] }, this);
        var onHost = new FoundInstance("t", "t", "c-t", InstancePhase.Running, [], IsOnHostNetwork: true);

        var catalog = builder.Build(
            [App(("millau.port", port)) with { Instances = [onHost] }], Ours with { IsHost = true }, _news, TimeSpan.Zero)!;

        Assert.Equal(routed ? 1 : 0, catalog.Services.Length);
        if (!routed) Assert.Equal($"port {port} of this host is Millau's own", Assert.Single(catalog.Seen, s => s.Name == "app").Reason);
    }

    [Fact]
    public void A_host_that_the_stack_may_not_claim_is_a_wrong_label_of_that_service_alone()
    {
        Assert.True(HostClaims.TryParse("shop=shop.com", out var claims));
        var builder = new CatalogBuilder(
            new DiscoveryOptions { Endpoint = EngineEndpoint.LocalSocket, AllowedHosts = claims }, this);
        FoundService Shop(string name, string hosts) =>
            App(("millau.hosts", hosts), ("com.docker.stack.namespace", "shop"), ("millau.cert", "c"), ("millau.key", "k")) with { Name = name };

        var catalog = builder.Build([Shop("good", "shop.com"), Shop("bad", "bank.com")], Ours, _news, TimeSpan.Zero)!;

        Assert.Equal("good", Assert.Single(catalog.Services).Name);
        Assert.Equal("wrong labels: millau.hosts", Assert.Single(catalog.Seen, s => s.Name == "bad").Reason);
        Assert.Contains(
            "service=bad label=millau.hosts value=\"bank.com\" allowed=\"what ALLOWED_HOSTS grants the stack shop: shop.com\"",
            Assert.Single(Warnings()));
        Assert.All(catalog.Certificates, c => Assert.False(c.Claim!.Value.Permits("bank.com")));
    }

    private static FoundService App(params (string Name, string Value)[] labels)
    {
        var map = new Dictionary<string, string?> { ["millau.enabled"] = "true", ["millau.port"] = "80" };
        foreach (var (name, value) in labels)
            map[name] = value;
        return new FoundService
        {
            Origin = ServiceOrigin.Swarm,
            Name = "app",
            Labels = map,
            Instances = [Instance("t")],
        };
    }

    private static FoundInstance Instance(string id, InstancePhase phase = InstancePhase.Running) =>
        new(id, id, "c-" + id, phase, [new("net1", "millau", IPAddress.Parse("10.0.1.1"))]);

    private List<string> Warnings() => [.. _lines.Where(l => l.Level == LogLevel.Warning).Select(l => l.Text)];

    private ServiceCatalog? Build(double seconds, params FoundService[] found) =>
        _builder.Build(found, Ours, _news, TimeSpan.FromSeconds(seconds));
}
