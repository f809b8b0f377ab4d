using System.Collections.Immutable;
using CsCheck;
using Millau.Discovery;
using Millau.Routing;
using Millau.Upstreams;

namespace Millau.Tests.Routing;

public class RouteTableTests
{
    // The rows of the specification's tables; services are named by what they are configured with, and numbered.
    [Theory]
    [InlineData("one.com two.com", "one.com", "one.com")]
    [InlineData("one.com two.com", "www.two.com", "two.com")]
    [InlineData("one.com two.com", "three.two.com", "two.com")]
    [InlineData("one.com local", "blue.local", "local")]
    [InlineData("* two.com", "two.com", "two.com")]
    [InlineData("* two.com", "one.com", "*")]
    [InlineData("* *", "one.com", "*,*")]
    [InlineData("company.local", "company.locall", "")]
    [InlineData("company.local", "mycompany.local", "")]
    [InlineData("company.local", "local", "")]
    [InlineData("one.com", "ONE.com.:8080", "one.com")]
    [InlineData("one.com", "www.ONE.com:80", "one.com")]
    [InlineData("com one.com a.one.com", "b.a.one.com", "a.one.com")]
    [InlineData("com one.com a.one.com", "b.one.com", "one.com")]
    [InlineData("com one.com a.one.com", "two.com", "com")]
    [InlineData("* one.com", "", "*")]
    [InlineData("one.com", "", "")]
    [InlineData("* one.com", "*", "*")]
    [InlineData("* one.com", "..", "*")]
    [InlineData("[::1] *", "[::1]:8080", "[::1]")]
    [InlineData("[::1] *", "[::2]:8080", "*")]
    public void Hosts(string configured, string requested, string selected)
    {
        var table = Table([.. configured.Split(' ').Select(h => (h, "/"))]);

        var walk = table.Match(requested, "/".AsMemory());

        Assert.Equal(selected, Names(walk.Current, s => s.Split('/')[0]));
    }

    [Theory]
    [InlineData("/api/ /", "/api/", "/api/")]
    [InlineData("/api/ /", "/api", "/")]
    [InlineData("/api/ /", "/file.html", "/")]
    [InlineData("/api/ /", "/api/x", "/api/")]
    [InlineData("/api/ /", "/api/x/", "/api/")]
    [InlineData("/api/ /", "/api/x/file.html", "/api/")]
    [InlineData("/api/ / /file.html", "/file.html", "/file.html")]
    [InlineData("/file /api/ / /file", "/file.html", "/file,/file")]
    [InlineData("/api/ / /file /file.html", "/file.html", "/file.html")]
    [InlineData("/api/ / /api/", "/api/", "/api/,/api/")]
    [InlineData("/api/", "/apii/", "")]
    [InlineData("/ab /abc /abd", "/abe", "/ab")]
    [InlineData("/abc /abd", "/ab", "")]
    [InlineData("/API", "/api", "")]
    [InlineData("/café/", "/café/x", "/café/")]
    public void Paths(string configured, string requested, string selected)
    {
        var table = Table([.. configured.Split(' ').Select(p => ("*", p))]);

        var walk = table.Match("any.example", requested.AsMemory());

        Assert.Equal(selected, Names(walk.Current, s => s[s.IndexOf('/')..]));
    }

    [Fact]
    public void The_walk_goes_to_shorter_paths_then_shorter_hosts_then_the_catch_all()
    {
        var table = Table(
            ("*", "/"), ("*", "/api/v1/x"), ("com", "/api/"), ("one.com", "/"), ("one.com", "/api"),
            ("one.com", "/api/v1"), ("one.com", "/api/v2"), ("a.one.com", "/other"), ("two.com", "/"));

        Assert.Equal(
            ["one.com/api/v1", "one.com/api", "one.com/", "com/api/", "*/api/v1/x", "*/"],
            Walk(table, "b.a.one.com", "/api/v1/x"));
    }

    [Fact]
    public void After_the_last_route_the_walk_stays_at_its_end()
    {
        var walk = Table(("one.com", "/")).Match("one.com", "/".AsMemory());

        Assert.Equal("one.com/", walk.Current?.ToString());
        Assert.False(walk.MoveNext());
        Assert.Null(walk.Current);
        Assert.False(walk.MoveNext());
    }

    [Fact]
    public void A_walk_of_nothing_has_no_current()
    {
        var walk = RouteTable.Empty.Match("one.com", "/".AsMemory());

        Assert.Null(walk.Current);
        Assert.False(walk.MoveNext());
    }

    [Fact]
    public void A_host_without_the_path_leaves_the_request_to_a_shorter_host() =>
        Assert.Equal(["*/"], Walk(Table(("one.com", "/api/"), ("*", "/")), "one.com", "/x"));

    [Fact]
    public void A_service_with_several_hosts_is_in_a_group_of_each_and_counts_once_in_each()
    {
        var table = Build(
            Service("blue", "/", "one.com", "two.com", "ONE.com", "one.com"),
            Service("green", "/", "two.com"));

        Assert.Equal("blue", Names(table.Match("one.com", "/".AsMemory()).Current));
        Assert.Equal("blue,green", Names(table.Match("two.com", "/".AsMemory()).Current));
    }

    [Fact]
    public void A_service_without_instances_keeps_its_route()
    {
        var table = Build(Service("down", "/", "one.com"), Service("page", "/", "*"));

        Assert.Equal(["one.com/", "*/"], Walk(table, "one.com", "/"));
        Assert.Empty(table.Match("one.com", "/".AsMemory()).Current!.Group.Services[0].Instances);
    }

    [Fact]
    public void A_service_that_was_removed_and_has_no_instance_left_matches_nothing() =>
        Assert.Equal(
            ["one.com/"],
            Walk(Build(Service("gone", "/", "*") with { IsRemoved = true }, Service("down", "/", "one.com")), "one.com", "/"));

    [Fact]
    public void All_routes_are_listed_by_host_and_path() =>
        Assert.Equal(
            ["*/", "a.com/", "a.com/x", "b.com/"],
            Table(("b.com", "/"), ("a.com", "/x"), ("*", "/"), ("a.com", "/")).Routes.Select(r => r.ToString()));

    [Fact]
    public void Hosts_with_thousands_of_labels_are_looked_up_by_their_end()
    {
        var table = Table(("one.com", "/"), ("*", "/"));
        var many = string.Concat(Enumerable.Repeat("a.", 100_000));

        Assert.Equal(["one.com/", "*/"], Walk(table, many + "one.com", "/"));
        Assert.Equal(["*/"], Walk(table, many, "/"));
        Assert.Equal(["*/"], Walk(table, new string('.', 100_000), "/"));
        Assert.Equal(["*/"], Walk(table, new string('a', 100_000), "/"));
    }

    [Fact]
    public void Paths_that_each_extend_the_last_are_no_matter()
    {
        var paths = Enumerable.Range(1, 2000).Select(i => "/" + new string('a', i)).ToArray();
        var table = Table([.. paths.Select(p => ("*", p))]);

        Assert.Equal(paths.Reverse().Select(p => "*" + p), Walk(table, "x", paths[^1] + "/"));
    }

    [Fact]
    public void Matching_costs_no_allocation_with_10000_routes()
    {
        var table = Table([
            .. Enumerable.Range(0, 5000).Select(i => ($"service{i}.example.com", "/")),
            .. Enumerable.Range(0, 5000).Select(i => ("example.com", $"/tenant{i}/")),
            ("*", "/")]);
        var path = "/tenant4711/orders?".AsMemory();
        var found = 0;
        Count(table, path, ref found);

        found = 0;
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
            Count(table, path, ref found);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(3000, found);

        static void Count(RouteTable table, ReadOnlyMemory<char> path, ref int found)
        {
            var walk = table.Match("WWW.Service42.example.com:8080", path);
            while (walk.Current is not null)
            {
                found++;
                walk.MoveNext();
            }
        }
    }

    [Fact]
    public void The_walk_is_what_the_rules_say_slowly()
    {
        var label = Gen.OneOf("a", "b", "ab", "com");
        var host = Gen.OneOf(Gen.Const("*"), label.Array[1, 4].Select(l => string.Join('.', l)));
        var path = Gen.OneOf("a", "b", "/", "é").Array[0, 5].Select(p => "/" + string.Concat(p));
        var written = Gen.Select(host, Gen.OneOf("", ":80", ".", ".:1"), Gen.Bool)
            .Select((h, end, upper) => (upper ? h.ToUpperInvariant() : h) + end);
        var service = Gen.Select(host.Array[1, 3], path);

        Gen.Select(service.Array[0, 12], written, path).Sample(
            (services, requestHost, requestPath) =>
            {
                var table = Build([.. services.Select((s, i) => Service($"s{i}", s.Item2, s.Item1))]);

                var walk = table.Match(requestHost, requestPath.AsMemory());
                var actual = new List<string>();
                while (walk.Current is { } route)
                {
                    actual.Add($"{route}: {Names(route)}");
                    walk.MoveNext();
                }

                Assert.Equal(WalkSlowly(services, requestHost, requestPath), actual);
            },
            iter: 5_000);
    }

    private static IEnumerable<string> WalkSlowly((string[] Hosts, string Path)[] services, string host, string path)
    {
        host = host.Split(':')[0].TrimEnd('.').ToLowerInvariant();
        return services
            .SelectMany((s, i) => s.Hosts.Distinct().Select(h => (Host: h, s.Path, Name: $"s{i}")))
            .Where(r => r.Host == "*" || r.Host == host || host.EndsWith("." + r.Host, StringComparison.Ordinal))
            .Where(r => path.StartsWith(r.Path, StringComparison.Ordinal))
            .GroupBy(r => (r.Host, r.Path))
            .OrderByDescending(g => g.Key.Host == "*" ? 0 : g.Key.Host.Length)
            .ThenByDescending(g => g.Key.Path.Length)
            .Select(g => $"{g.Key.Host}{g.Key.Path}: {string.Join(',', g.Select(r => r.Name))}");
    }

    private static List<string> Walk(RouteTable table, string host, string path)
    {
        var routes = new List<string>();
        var walk = table.Match(host, path.AsMemory());
        while (walk.Current is { } route)
        {
            routes.Add(route.ToString());
            walk.MoveNext();
        }

        return routes;
    }

    private static string Names(Route? route, Func<string, string>? shorten = null) =>
        string.Join(',', route?.Group.Services.Select(s => shorten?.Invoke(s.Name) ?? s.Name) ?? []);

    /// <summary>One service a pair, named by its host and path.</summary>
    private static RouteTable Table(params (string Host, string Path)[] routes) =>
        Build([.. routes.Select(r => Service(r.Host + r.Path, r.Path, r.Host))]);

    private static RouteTable Build(params Service[] services)
    {
        var catalog = new ServiceCatalog([.. services]);
        return RouteTableBuilder.Build(catalog,
            [.. services.Select(s => new UpstreamService(s.Name, s.Timeout, s.Retry, [], s.IsStarting))]);
    }

    private static Service Service(string name, string path, params string[] hosts) => new()
    {
        Name = name,
        Hosts = [.. hosts],
        Path = path,
        Timeout = TimeSpan.FromSeconds(30),
        Retry = TimeSpan.FromSeconds(60),
        Instances = ImmutableArray<Instance>.Empty,
    };
}
