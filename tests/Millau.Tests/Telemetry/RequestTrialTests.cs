using System.Collections.Immutable;
using System.Net;
using Millau.Discovery;
using Millau.Telemetry;
using Millau.Tests.Tls;
using Millau.Tests.Wire;

namespace Millau.Tests.Telemetry;

/// <summary>A request that is tried is told what the same request gets when it is sent.</summary>
public sealed class RequestTrialTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private static readonly TestAuthority Authority = new("CA of clients");

    [Theory]
    [InlineData("open.test", "/", "forwarded", 200)]
    [InlineData("open.test", "/a#b", "refused", 400)]
    [InlineData("none.test", "/", "no-match", 502)]
    [InlineData("down.test", "/", "no-instance", 502)]
    [InlineData("secure.test", "/x?y=1", "redirected", 308)]
    [InlineData("secure.test", "/.well-known/acme-challenge/x", "forwarded", 200)]
    [InlineData("closed.test", "/", "certificate-required", 403)]
    [InlineData("deep.guarded.test", "/", "certificate-required", 403)]
    [InlineData("unreadable.test", "/", "certificate-required", 403)]
    public async Task It_is_told_what_it_would_get(string host, string path, string outcome, int status)
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await StartAsync(instance.EndPoint);

        var trial = Try(proxy, new("GET", "http", host, path));

        Assert.Equal((outcome, status == 200 ? null : status), (trial.Outcome, trial.Status));
        Assert.StartsWith($"HTTP/1.1 {status} ", await proxy.GetAsync(path, host));
        Assert.Equal(status == 200, trial.Instance is not null);
    }

    [Fact]
    public async Task A_client_certificate_is_asked_for_where_it_is_demanded()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await StartAsync(instance.EndPoint);

        var plain = Try(proxy, new("GET", "http", "closed.test", "/"));
        Assert.Equal("403 Forbidden: a client certificate is required, and with it https.", plain.Text);
        var without = Try(proxy, new("GET", "https", "closed.test", "/"));
        Assert.Equal("403 Forbidden: a client certificate is required.", without.Text);
        Assert.Equal((true, "Clients need a certificate (millau.clientca of closed)."), (without.Routes[0].Chosen, without.Routes[0].Text));

        var with = Try(proxy, new("GET", "https", "closed.test", "/", Certificate: true));
        Assert.Equal(("forwarded", "closed"), (with.Outcome, with.Instance!.Service));
        Assert.EndsWith("are ready. Clients need a certificate (millau.clientca of closed).", with.Routes[0].Text.Replace("is ready", "are ready"));
    }

    [Fact]
    public async Task A_CA_that_cannot_be_read_is_told_to_let_nobody_in()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await StartAsync(instance.EndPoint);

        var trial = Try(proxy, new("GET", "https", "unreadable.test", "/", Certificate: true));

        Assert.Equal("certificate-required", trial.Outcome);
        Assert.EndsWith("The CA of unreadable cannot be read, so nobody is let in.", trial.Routes[0].Text);
        Assert.Equal(
            new("unreadable", "millau.clientca: is not base64", false, "no client is let in"),
            Assert.Single(proxy.Proxy.TlsProblems) with { Problem = "millau.clientca: is not base64" });
    }

    [Fact]
    public async Task A_fallback_that_demands_a_certificate_is_named_as_what_decides()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await StartAsync(instance.EndPoint);

        var trial = Try(proxy, new("GET", "https", "deep.guarded.test", "/"));

        Assert.Equal(
            [("deep.guarded.test", false, "Passed over: it has no instance."),
                ("guarded.test", true, "Clients need a certificate (millau.clientca of fallback).")],
            trial.Routes.Select(r => (r.Host, r.Chosen, r.Text)));
    }

    [Fact]
    public async Task A_redirect_is_told_with_its_address_and_is_none_with_https()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await StartAsync(instance.EndPoint);

        var plain = Try(proxy, new("GET", "http", "secure.test", "/a/../b?c"));
        Assert.StartsWith("308 to https://secure.test:8443/b?c: ", plain.Text);
        Assert.Equal("forwarded", Try(proxy, new("GET", "https", "secure.test", "/a/../b?c")).Outcome);
    }

    [Fact]
    public async Task Services_that_ask_for_the_host_and_do_not_get_it_are_named()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await StartAsync(instance.EndPoint);
        // Routed as it was; the new host is refused, as by ALLOWED_HOSTS.
        var kept = new SeenService
        {
            Name = "open", Origin = ServiceOrigin.Swarm, RoutedAs = "open", Labels = [new("millau.hosts", "open.test bank.test")],
            Problems = [new("bad-value", ProblemSeverity.Warning, "millau.hosts is not allowed.", "Allowed: what ALLOWED_HOSTS grants.")],
        };
        var misspelt = new SeenService { Name = "blog", Origin = ServiceOrigin.Swarm, Labels = [new("millau.hosts", "www.BANK.test.")] };
        // Asks for every host, which has no say where somebody asks for the very one.
        var catchAll = new SeenService { Name = "maintenance", Origin = ServiceOrigin.Swarm, Labels = [new("millau.prot", "80")] };
        proxy.Proxy.Apply(proxy.Proxy.Routes.Catalog with { Seen = [kept, misspelt, catchAll] });

        Assert.Equal(
            ["open asks for this host, but is not routed for it: millau.hosts is not allowed. Allowed: what ALLOWED_HOSTS grants.",
                "blog asks for this host, but is not routed.", "maintenance asks for this host, but is not routed."],
            Try(proxy, new("GET", "http", "www.bank.test", "/")).Hints);
        Assert.Empty(Try(proxy, new("GET", "http", "open.test", "/")).Hints);
    }

    [Fact]
    public async Task Trying_takes_nobodys_turn()
    {
        await using var one = ScriptedInstance.Answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
        await using var two = ScriptedInstance.Answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        var first = (await proxy.GetAsync())[^3..];

        Try(proxy, new("GET", "http", "a.test", "/"));

        Assert.NotEqual(first, (await proxy.GetAsync())[^3..]);
    }

    private static TrialReport Try(TestProxy proxy, TrialRequest request) =>
        RequestTrial.Run(request, proxy.Proxy.Routes, proxy.Proxy.Redirect);

    private static async Task<TestProxy> StartAsync(IPEndPoint instance)
    {
        var proxy = await TestProxy.StartUnprobedAsync(TimeProvider.System, TestProxy.ServedBy);
        ImmutableArray<Service> services =
        [
            Of("closed", "closed.test", instance) with { Tls = Demand(Authority.Label) },
            Of("down", "down.test"),
            Of("fallback", "guarded.test", instance) with { Tls = Demand(Authority.Label) },
            Of("guarded", "deep.guarded.test"),
            Of("open", "open.test", instance),
            Of("secure", "secure.test", instance) with { RedirectsToHttps = true },
            Of("unreadable", "unreadable.test", instance) with { Tls = Demand("no base64") },
        ];
        proxy.Apply(services);
        await Eventually.TrueAsync(() => proxy.Proxy.Instances.All(i => i.IsReady));
        return proxy;
    }

    private static Service Of(string name, string host, params IPEndPoint[] instances) =>
        TestProxy.Service(name, instances) with { Hosts = [host] };

    private static TlsLabels Demand(string authority) => new(null, authority);
}
