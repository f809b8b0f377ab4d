using System.Net;
using CsCheck;
using Microsoft.Extensions.Time.Testing;
using Millau.Discovery;
using Millau.Tests.Wire;
using Millau.Tls;
using Millau.Upstreams;

namespace Millau.Tests.Upstreams;

public sealed class UpstreamRegistryTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly RecordedLog _log = new();
    private readonly Availability _availability = new();
    private readonly UpstreamHeartbeat _heartbeat;
    private readonly UpstreamRegistry _registry;

    public UpstreamRegistryTests()
    {
        _heartbeat = new UpstreamHeartbeat(_time);
        _registry = new UpstreamRegistry(
            _heartbeat, new InstanceProbe(_heartbeat, loops: null, _availability, _time, _log), _availability,
            new TlsMaterials(new SecretFiles("/nonexistent"), _time, _log), _time, _log);
    }

    [Fact]
    public async Task What_is_known_of_an_instance_outlives_catalogs()
    {
        await using var port = new ScriptedInstance();
        var service = TestProxy.Service(port.EndPoint);
        var instance = await TakeAsync(service, ups: 1);
        instance.LeaveOut();

        var again = Take(service with { Retry = TimeSpan.FromSeconds(5), Path = "/x" });

        Assert.Same(instance, again);
        Assert.True(again.IsLeftOut && again.IsAccepting && !again.IsRetired);
        Assert.Equal(TimeSpan.FromSeconds(5), again.Service.Retry);
        Assert.Equal(1, _log.Count("instance up"));
    }

    [Fact]
    public async Task A_new_epoch_forgets_failures_and_probes_again()
    {
        await using var port = new ScriptedInstance();
        var service = TestProxy.Service(port.EndPoint);
        var instance = await TakeAsync(service, ups: 1);
        instance.LeaveOut();

        var again = await TakeAsync(service with { Instances = [service.Instances[0] with { Epoch = 1 }] }, ups: 2);

        Assert.Same(instance, again);
        Assert.True(again.IsReady);
    }

    [Fact]
    public async Task Another_address_is_another_instance_and_the_old_one_is_gone()
    {
        await using var port = new ScriptedInstance();
        await using var other = new ScriptedInstance();
        var service = TestProxy.Service(port.EndPoint);
        var instance = await TakeAsync(service, ups: 1);

        var moved = await TakeAsync(service with { Instances = [service.Instances[0] with { EndPoint = other.EndPoint }] }, ups: 2);

        Assert.NotSame(instance, moved);
        Assert.True(instance.IsRetired && !moved.IsRetired);
        Assert.Equal(1, _log.Count($"instance gone .*address={port.EndPoint}$"));
    }

    [Fact]
    public async Task Each_catalog_wakes_those_who_wait()
    {
        await using var port = new ScriptedInstance();
        var version = _availability.Version;

        Take(TestProxy.Service(port.EndPoint));

        Assert.NotEqual(version, _availability.Version);
    }

    [Fact]
    public async Task A_probe_goes_on_until_the_port_opens()
    {
        await using var port = new ScriptedInstance(null, listens: false);
        var instance = Take(TestProxy.Service(port.EndPoint));
        await Eventually.TrueAsync(() =>
        {
            _time.Advance(TimeSpan.FromMilliseconds(500));
            return _log.Count("does not accept connections yet") == 1;
        });
        Assert.False(instance.IsAccepting);

        port.Listen();

        await Eventually.TrueAsync(() =>
        {
            _time.Advance(TimeSpan.FromMilliseconds(500));
            return instance.IsAccepting;
        });
        Assert.Equal(1, _log.Count("does not accept connections yet"));
        await Eventually.TrueAsync(() => _heartbeat.OpenConnections == 0, "a probe's connection stayed open");
    }

    [Fact]
    public async Task The_probe_of_an_instance_that_goes_ends()
    {
        await using var port = new ScriptedInstance(null, listens: false);
        var instance = Take(TestProxy.Service(port.EndPoint));
        _registry.Finish(_registry.Take(ServiceCatalog.Empty));
        port.Listen();

        Assert.True(instance.IsRetired);
        for (var i = 0; i < 10; i++) _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(0, _log.Count("instance up"));
    }

    [Fact]
    public void Changes_one_after_the_other_leave_what_the_last_catalog_has()
    {
        var instances = Gen.Select(Gen.Int[0, 5], Gen.Int[0, 2], Gen.Int[0, 2]).Array[0, 3];
        Gen.Select(Gen.Int[0, 4], Gen.Int[0, 3], instances).Array[1, 3].Array[1, 10].Sample(
            steps =>
            {
                using var heartbeat = new UpstreamHeartbeat(_time);
                var registry = new UpstreamRegistry(
                    heartbeat, new InstanceProbe(heartbeat, loops: null, _availability, _time, _log), _availability,
                    new TlsMaterials(new SecretFiles("/nonexistent"), _time, _log), _time, _log);
                var services = new Service?[5];
                Service[] before = [];
                var alive = new Dictionary<(string, IPEndPoint), UpstreamInstance>();
                foreach (var step in steps)
                {
                    foreach (var (place, kind, its) in step)
                        services[place] = kind == 0 ? null : Service(place, kind, its);
                    // An instance belongs to one service.
                    var taken = new HashSet<string>();
                    for (var i = 0; i < services.Length; i++)
                    {
                        if (services[i] is not { } service || service.Instances.All(x => taken.Add(x.Id))) continue;
                        services[i] = service with { Instances = [] };
                    }
                    Service[] now = [.. services.OfType<Service>()];

                    var update = registry.Take(new ServiceCatalog([.. now]));
                    Assert.DoesNotContain(update.Gone, i => i.IsRetired);
                    registry.Finish(update);

                    Assert.Equal(now.Select(s => s.Name), update.Services.Select(s => s.Name));
                    var changed = new HashSet<Service>(before, ReferenceEqualityComparer.Instance);
                    changed.SymmetricExceptWith(now);
                    Assert.True(changed.SetEquals(update.Changed));
                    Assert.Equal(changed.Count, update.Changed.Count);
                    var known = new Dictionary<(string, IPEndPoint), UpstreamInstance>();
                    foreach (var (service, upstream) in now.Zip(update.Services))
                    {
                        Assert.Equal(
                            service.Instances.Select(i => (i.Id, i.EndPoint, i.Phase)),
                            upstream.Instances.Select(i => (i.Id, i.EndPoint, i.Phase)));
                        foreach (var instance in upstream.Instances)
                        {
                            Assert.Same(upstream, instance.Service);
                            Assert.False(instance.IsRetired);
                            known.Add((instance.Id, instance.EndPoint), instance);
                        }
                    }
                    foreach (var (key, instance) in alive)
                    {
                        if (known.TryGetValue(key, out var same)) Assert.Same(instance, same);
                        else Assert.True(instance.IsRetired);
                    }
                    Assert.Equal(known.Values.ToHashSet(), registry.Instances.ToHashSet());
                    (before, alive) = (now, known);
                }
                registry.Close();
            },
            iter: 100, threads: 1);
    }

    // Port 1 of the loopback: refused at once, and never tried again while the clock stands.
    private static Service Service(int place, int kind, (int Id, int Address, int Phase)[] instances) => TestProxy.Service() with
    {
        Name = $"s{place}",
        Path = $"/{kind}",
        Instances = [.. instances.DistinctBy(i => i.Id).Select(i => new Instance(
            $"t{i.Id}", $"t{i.Id}", new IPEndPoint(new IPAddress([127, 0, 0, (byte)(i.Address + 1)]), 1), (InstancePhase)i.Phase))],
    };

    public void Dispose() => _heartbeat.Dispose();

    private UpstreamInstance Take(Service service)
    {
        var update = _registry.Take(new ServiceCatalog([service]));
        _registry.Finish(update);
        return update.Services[0].Instances[0];
    }

    private async Task<UpstreamInstance> TakeAsync(Service service, int ups)
    {
        var instance = Take(service);
        await Eventually.TrueAsync(() => _log.Count("instance up") == ups);
        return instance;
    }
}
