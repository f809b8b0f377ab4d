using System.Collections.Immutable;
using System.Net;
using CsCheck;
using Microsoft.Extensions.Logging;
using Millau.Discovery;
using Millau.Tests.Wire;

namespace Millau.Tests.Discovery;

/// <summary>A builder that passes over what is found to be the same says what one says that looks at everything each time.</summary>
public class CatalogChangeTests
{
    private static readonly Reach Ours = new(ImmutableDictionary<string, string>.Empty.Add("net1", "millau"), [], false);
    private static readonly Reach Others = new(ImmutableDictionary<string, string>.Empty.Add("net2", "other"), [], false);

    private static readonly HostClaims Claims = ParseClaims();

    private static readonly Gen<FoundService> AnyService = Gen.Select(
        Gen.Int[0, 4], Gen.Int[0, 6], Gen.Int[0, 9], Gen.Int[0, 5].Array[0, 3], Gen.Int[0, 3], Gen.Int[0, 2])
        .Select((name, labels, kind, instances, network, stack) => new FoundService
        {
            Origin = kind < 3 ? ServiceOrigin.Containers : ServiceOrigin.Swarm,
            Name = $"app{name}",
            Labels = new Dictionary<string, string?>
            {
                ["millau.enabled"] = labels == 0 ? "false" : "true",
                ["millau.port"] = labels == 1 ? "wrong" : "80",
                ["millau.path"] = labels == 2 ? "/x" : "/",
                ["millau.cert"] = labels == 3 ? "c" : "",
                ["millau.key"] = labels is 3 or 4 ? "k" : "",
                ["millau.hosts"] = labels == 6 ? "shop.test" : "*",
                ["com.docker.stack.namespace"] = stack switch { 0 => "shop", 1 => "all", _ => "other" },
                ["com.docker.compose.project"] = "all",
            },
            Instances = [.. instances.Distinct().Select(i => new FoundInstance(
                $"t{name}-{i}", $"t{name}-{i}", $"c{name}-{i}", i == 0 ? InstancePhase.Stopping : InstancePhase.Running,
                [new(network == 0 ? "net2" : "net1", network == 0 ? "other" : "millau", IPAddress.Parse($"10.0.{name}.{i + 1}"))])
            {
                IsUnhealthy = i == 5,
            })],
            IsRemoved = kind == 9,
            IsStarting = kind == 8,
            Notice = kind == 7 ? "millau.port: set on the containers" : "",
        });

    private sealed record Step((int Place, FoundService? To)[] Changes, int News, int Container, double Seconds, bool IsElsewhere);

    private static readonly Gen<Step> AnyStep = Gen.Select(
        Gen.Select(Gen.Int[0, 5], Gen.OneOf(AnyService.Select(FoundService? (s) => s), Gen.Bool.Select(FoundService? (_) => null))).Array[0, 2],
        Gen.Int[0, 12], Gen.Int[0, 29], Gen.OneOf(Gen.Double[0, 3], Gen.Double[0, 3], Gen.Double[0, 200]), Gen.Int[0, 9])
        .Select((changes, news, container, seconds, elsewhere) => new Step(changes, news, container, seconds, elsewhere == 0));

    [Fact]
    public void What_is_passed_over_would_have_said_nothing_new() => Gen.Select(AnyStep.Array[1, 20], Gen.Bool).Sample(
        (steps, isLimited) =>
        {
            var news = new ContainerNews(TimeSpan.FromSeconds(30));
            var (sparing, thorough) = (new RecordedLog(), new RecordedLog());
            var options = new DiscoveryOptions
            {
                Endpoint = EngineEndpoint.LocalSocket, OwnContainerId = "c1-1", AllowedHosts = isLimited ? Claims : null,
            };
            var (ours, theirs) = (new CatalogBuilder(options, sparing), new CatalogBuilder(options, thorough));
            // In this one something changes each time: so it has a catalog of everything in each round.
            var (restless, round) = (new CatalogBuilder(options, new RecordedLog()), 0);
            var found = new FoundService?[6];
            ServiceCatalog? last = null;
            var now = TimeSpan.Zero;
            foreach (var step in steps)
            {
                now += TimeSpan.FromSeconds(step.Seconds);
                foreach (var (place, to) in step.Changes) found[place] = to;
                Tell(news, step, now);
                var reach = step.IsElsewhere ? Others : Ours;

                var catalog = ours.Build(found.OfType<FoundService>(), reach, news, now);
                var expected = theirs.Build(found.OfType<FoundService>().Select(f => f with { }), reach, news, now);
                var whole = restless.Build(
                    found.OfType<FoundService>().Select(f => f with { }).Append(Restless(round++)), reach, news, now);

                Assert.Equal(WithoutRestless(whole!), catalog ?? last);
                Assert.Equal(expected, catalog);
                Assert.Equal(theirs.NextChange, ours.NextChange);
                Assert.Equal(thorough.Entries, sparing.Entries);
                if (catalog is null) continue;
                Assert.NotEqual(last, catalog);
                foreach (var service in catalog.Services)
                {
                    // A Swarm service may take over the name of containers: then it is another one that says the same.
                    var same = last?.Services.FirstOrDefault(s => s.Equals(service) && Origin(last, s) == Origin(catalog, s));
                    if (same is not null) Assert.Same(same, service);
                }
                last = catalog;
            }
        },
        iter: 2_000);

    private static FoundService Restless(int round) => new()
    {
        Origin = ServiceOrigin.Swarm, Name = "restless", Labels = [new("millau.path", $"/{round}")], Instances = [],
    };

    private static ServiceCatalog WithoutRestless(ServiceCatalog catalog) =>
        catalog with { Seen = [.. catalog.Seen.Where(s => s.Name != "restless")] };

    private static HostClaims ParseClaims()
    {
        Assert.True(HostClaims.TryParse("shop=shop.test; all=*", out var claims));
        return claims;
    }

    private static ServiceOrigin Origin(ServiceCatalog catalog, Service service) =>
        catalog.Seen.First(s => s.RoutedAs == service.Name).Origin;

    private static void Tell(ContainerNews news, Step step, TimeSpan now)
    {
        var id = $"c{step.Container / 6}-{step.Container % 6}";
        switch (step.News)
        {
            case 0: news.OnKill(id, now); break;
            case 1: news.OnDie(id, now); break;
            case 2: news.OnStart(id, now); break;
            case 3: news.OnUnhealthy(id, now); break;
            case 4: news.OnHealthy(id, now); break;
            case 5: news.OnGap(); break;
        }
    }
}
