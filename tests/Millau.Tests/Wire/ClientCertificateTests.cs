using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Millau.Discovery;
using Millau.Tests.Tls;
using Millau.Tests.Wire.Http2;

namespace Millau.Tests.Wire;

/// <summary>Services that let in only clients with a certificate: who gets in, what the instance is told, and what passes it by.</summary>
public sealed class ClientCertificateTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private static readonly TestAuthority Authority = new("CA of clients");
    private static readonly TestAuthority Another = new("CA of others");
    private static readonly TestCertificate Good = Authority.Issue(TestAuthority.ForClients, 0, "alice");

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task A_client_with_a_certificate_gets_in_and_the_instance_is_told_who_it_is(SslProtocols version)
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        await using var proxy = await TestProxy.StartAsync(Demanding("app", instance, "a.test"));
        await using var client = await ConnectAsync(proxy, "a.test", Good, version);
        for (var i = 0; i < 2; i++)
        {
            await client.SendAsync(Get("a.test"));
            Assert.EndsWith("ok", await client.ReadResponseAsync());
        }

        Assert.All(heads, head => Assert.Contains($"\r\nClient-Cert: :{Der(Good)}:\r\n", head));
    }

    [Fact]
    public async Task A_certificate_that_does_not_say_what_it_is_for_will_do() =>
        Assert.Contains(" 200 ", await AskAsync(Authority.Issue(null, 0, "bob")));

    [Fact]
    public async Task A_client_without_a_certificate_gets_403_and_nothing_reaches_the_instance()
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        await using var proxy = await TestProxy.StartAsync(Demanding("app", instance, "a.test"));

        var answer = await AskAsync(proxy, "a.test", "a.test", null);

        Assert.StartsWith("HTTP/1.1 403 Forbidden\r\n", answer);
        Assert.EndsWith("\r\n\r\nForbidden: a client certificate is required\n", answer);
        Assert.Empty(heads);
    }

    public static TheoryData<string, string> BadCertificates => new()
    {
        { "expired", "certificate expired at " },
        { "not yet valid", "certificate is not valid before " },
        { "another CA", "certificate comes from a CA that is not trusted: CN=CA of others" },
        { "self-signed", "certificate is self-signed and not trusted" },
        { "for servers", "certificate is for another use" },
        { "between", "certificate comes from a CA that is not trusted: CN=CA between" },
    };

    [Theory]
    [MemberData(nameof(BadCertificates))]
    public async Task A_certificate_that_is_not_valid_gets_403_with_the_reason_and_nothing_reaches_the_instance(string what, string reason)
    {
        var bad = what switch
        {
            "expired" => Authority.Issue(TestAuthority.ForClients, -9, "eve"),
            "not yet valid" => Authority.Issue(TestAuthority.ForClients, 9, "eve"),
            "another CA" => Another.Issue(TestAuthority.ForClients, 0, "eve"),
            "self-signed" => TestCertificate.ForToday("eve"),
            "for servers" => Authority.Issue(TestAuthority.ForServers, 0, "eve"),
            // Its intermediate is missing, and is not fetched.
            _ => new TestAuthority("CA between", Authority).Issue(TestAuthority.ForClients, 0, "eve"),
        };
        var heads = new List<string>();
        await using var instance = Recording(heads);
        await using var proxy = await TestProxy.StartAsync(Demanding("app", instance, "a.test"));

        foreach (var version in (SslProtocols[])[SslProtocols.Tls12, SslProtocols.Tls13])
        {
            await using var client = await ConnectAsync(proxy, "a.test", bad, version);
            // It stays so, however often it is asked.
            for (var i = 0; i < 2; i++)
            {
                await client.SendAsync(Get("a.test"));
                var answer = await client.ReadResponseAsync();
                Assert.StartsWith("HTTP/1.1 403 Forbidden\r\n", answer);
                Assert.Contains("\r\n\r\nForbidden: the client's " + reason, answer);
            }
            await using var streams = await Http2Client.ConnectAsync(proxy.TlsEndPoint, options: Options("a.test", bad, version));
            var stream = await streams.GetAsync();
            Assert.Equal(403, stream.Status);
            Assert.StartsWith("Forbidden: the client's " + reason, stream.Body);
        }

        Assert.Empty(heads);
        Assert.Equal(4, proxy.Log.Count($"client certificate refused client=127.0.0.1:\\d+ reason=\"{System.Text.RegularExpressions.Regex.Escape(reason)}"));
    }

    [Fact]
    public async Task Over_http2_a_client_with_a_certificate_gets_in_and_one_without_gets_403()
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        await using var proxy = await TestProxy.StartAsync(Demanding("app", instance, "a.test"));

        await using var stranger = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var refused = await stranger.GetAsync(Http2Client.Request().Add("client-cert", $":{Der(Good)}:"));
        Assert.Equal((403, "Forbidden: a client certificate is required\n"), (refused.Status, refused.Body));
        Assert.Empty(heads);

        await using var alice = await Http2Client.ConnectAsync(proxy.TlsEndPoint, options: Options("a.test", Good));
        Assert.Equal(200, (await alice.GetAsync()).Status);
        Assert.Contains($"\r\nClient-Cert: :{Der(Good)}:\r\n", Assert.Single(heads));
    }

    [Fact]
    public async Task An_invalid_certificate_does_not_reach_services_that_demand_none()
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        await using var proxy = await TestProxy.StartAsync(
            Demanding("app", instance, "a.test"), TestProxy.Service("open", instance.EndPoint) with { Hosts = ["open.test"] });

        Assert.Contains(" 200 ", await AskAsync(proxy, "a.test", "open.test", Another.Issue(TestAuthority.ForClients, 0, "eve")));

        Assert.DoesNotContain("Client-Cert", Assert.Single(heads));
    }

    [Fact]
    public async Task An_intermediate_may_come_from_the_client()
    {
        var between = new TestAuthority("CA between", Authority);
        var leaf = between.Issue(TestAuthority.ForClients, 0, "carol");
        Assert.Contains(" 200 ", await AskAsync(leaf with { CertificatePem = leaf.CertificatePem + "\n" + between.Pem }));
    }

    [Theory]
    [InlineData("a.test", "b.test")]
    [InlineData("", "b.test")]
    [InlineData("c.test", "b.test")]
    public async Task A_request_on_a_connection_for_another_host_gets_421(string serverName, string host)
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        await using var proxy = await TestProxy.StartAsync(
            Demanding("a", instance, "a.test"),
            TestProxy.Service("b", instance.EndPoint) with { Hosts = ["b.test"], Tls = new(null, Another.Label) },
            TestProxy.Service("c", instance.EndPoint) with { Hosts = ["c.test"] });

        // With the right certificate for the first host, and with none.
        foreach (var certificate in (TestCertificate?[])[Good, null])
            Assert.StartsWith("HTTP/1.1 421 ", await AskAsync(proxy, serverName, host, certificate));

        Assert.Empty(heads);
    }

    [Fact]
    public async Task Streams_for_other_hosts_on_a_connection_of_http2_get_421_and_the_connection_goes_on()
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        await using var proxy = await TestProxy.StartAsync(
            Demanding("a", instance, "a.test"),
            TestProxy.Service("b", instance.EndPoint) with { Hosts = ["b.test"], Tls = new(null, Another.Label) },
            TestProxy.Service("c", instance.EndPoint) with { Hosts = ["c.test"] });

        // A browser shares connections between hosts of one certificate: from a host that asks for nothing, and from one with another CA.
        foreach (var (serverName, certificate) in ((string, TestCertificate?)[])[("c.test", null), ("a.test", Good)])
        {
            await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint, options: Options(serverName, certificate));
            var misdirected = await client.GetAsync(Http2Client.Request(authority: "b.test"));
            Assert.Equal(421, misdirected.Status);
            Assert.StartsWith("Misdirected request: ", misdirected.Body);
            Assert.Equal(200, (await client.GetAsync(Http2Client.Request(authority: serverName))).Status);
        }
        // As it is told to: on a connection of its own.
        await using var own = await Http2Client.ConnectAsync(
            proxy.TlsEndPoint, options: Options("b.test", Another.Issue(TestAuthority.ForClients, 0, "bob")));
        Assert.Equal(200, (await own.GetAsync(Http2Client.Request(authority: "b.test"))).Status);

        Assert.Equal(["c.test", "a.test", "b.test"], heads.Select(h => h.Split("Host: ")[1].Split('\r')[0]));
    }

    [Fact]
    public async Task The_right_certificate_for_one_host_is_refused_by_another()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(
            Demanding("a", instance, "a.test"),
            TestProxy.Service("b", instance.EndPoint) with { Hosts = ["b.test"], Tls = new(null, Another.Label) });

        Assert.Contains(" 200 ", await AskAsync(proxy, "a.test", "A.test.", Good));
        Assert.Contains("Forbidden: the client's certificate comes from a CA that is not trusted: CN=CA of clients",
            await AskAsync(proxy, "b.test", "b.test", Good));
    }

    [Fact]
    public async Task A_connection_for_one_host_serves_another_with_the_same_CA()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(
            Demanding("a", instance, "a.test"), Demanding("b", instance, "b.test"));

        Assert.Contains(" 200 ", await AskAsync(proxy, "a.test", "b.test", Good));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_plain_port_is_no_way_around(bool redirect)
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        await using var proxy = await TestProxy.StartAsync(Demanding("app", instance, "a.test") with { RedirectsToHttps = redirect });

        var answer = await proxy.RoundTripAsync(
            $"GET / HTTP/1.1\r\nHost: a.test\r\nClient-Cert: :{Der(Good)}:\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n");

        Assert.StartsWith(redirect ? "HTTP/1.1 308 " : "HTTP/1.1 403 ", answer);
        Assert.StartsWith("HTTP/1.1 403 ", await proxy.GetAsync("/.well-known/acme-challenge/x", "a.test"));
        Assert.Empty(heads);
    }

    [Theory]
    [InlineData("Client-Cert")]
    [InlineData("client-cert")]
    [InlineData("Client_Cert")]
    [InlineData("CLIENT_CERT")]
    [InlineData("Client-Cert-Chain")]
    [InlineData("Client_Cert-Chain")]
    [InlineData("client_cert_chain")]
    public async Task What_a_client_says_of_its_certificate_is_removed_on_every_route(string name)
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        await using var proxy = await TestProxy.StartAsync(
            Demanding("app", instance, "a.test"), TestProxy.Service("open", instance.EndPoint) with { Hosts = ["open.test"] });
        string Forged(string host) => Get(host).Replace("\r\n\r\n", $"\r\n{name}: :Zm9yZ2Vk:\r\nX-Last: 1\r\n\r\n", StringComparison.Ordinal);

        await using var plain = await proxy.ConnectAsync();
        await plain.SendAsync(Forged("open.test"));
        Assert.EndsWith("ok", await plain.ReadResponseAsync());
        await using var shown = await ConnectAsync(proxy, "a.test", Good);
        await shown.SendAsync(Forged("a.test"));
        Assert.EndsWith("ok", await shown.ReadResponseAsync());

        Assert.Equal(2, heads.Count);
        Assert.All(heads, head => Assert.Contains("X-Last: 1", head));
        Assert.All(heads, head => Assert.DoesNotContain("Zm9yZ2Vk", head));
    }

    [Fact]
    public async Task A_route_that_did_not_ask_is_not_told_who_the_client_is()
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        await using var proxy = await TestProxy.StartAsync(
            Demanding("app", instance, "a.test") with { Path = "/in/" },
            TestProxy.Service("open", instance.EndPoint) with { Hosts = ["a.test"] });
        await using var client = await ConnectAsync(proxy, "a.test", Good);

        await client.SendAsync("POST /in/x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\none");
        Assert.EndsWith("ok", await client.ReadResponseAsync());
        await client.SendAsync("POST /out HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\ntwo");
        Assert.EndsWith("ok", await client.ReadResponseAsync());

        Assert.Contains("Client-Cert: :", heads[0]);
        Assert.EndsWith("\r\n\r\none", heads[0]);
        Assert.DoesNotContain("Client-Cert", heads[1]);
        Assert.EndsWith("\r\n\r\ntwo", heads[1]);
        Assert.Contains(" 200 ", await AskAsync(proxy, "a.test", "a.test", null, path: "/out"));
    }

    [Fact]
    public async Task One_service_of_a_route_that_demands_is_enough_and_each_must_trust_the_CA()
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        var open = TestProxy.Service("open", instance.EndPoint) with { Hosts = ["a.test"] };
        await using var proxy = await TestProxy.StartAsync(open, Demanding("one", instance, "a.test"));

        for (var i = 0; i < 4; i++)
        {
            Assert.Contains(" 403 ", await AskAsync(proxy, "a.test", "a.test", null));
            Assert.Contains(" 200 ", await AskAsync(proxy, "a.test", "a.test", Good));
        }
        await proxy.ApplyAsync(open, Demanding("one", instance, "a.test"), Demanding("two", instance, "a.test") with { Tls = new(null, Another.Label) });
        for (var i = 0; i < 4; i++) Assert.Contains(" 403 ", await AskAsync(proxy, "a.test", "a.test", Good));
        await proxy.ApplyAsync(open, Demanding("one", instance, "a.test"),
            Demanding("two", instance, "a.test") with { Tls = new(null, TestCertificate.Base64(Another.Pem + "\n" + Authority.Pem)) });
        for (var i = 0; i < 4; i++) Assert.Contains(" 200 ", await AskAsync(proxy, "a.test", "a.test", Good));
    }

    [Fact]
    public async Task The_way_to_a_fallback_does_not_lead_around_its_demand_nor_around_that_of_the_best_route()
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        // The best route is open and down, the catch-all demands.
        await using var proxy = await TestProxy.StartAsync(
            TestProxy.Service("down") with { Hosts = ["a.test"] }, Demanding("rest", instance, "*"));
        Assert.Contains(" 403 ", await AskAsync(proxy, "a.test", "a.test", null));
        Assert.Contains(" 200 ", await AskAsync(proxy, "a.test", "a.test", Good));
        Assert.Single(heads);
        Assert.Contains("Client-Cert: :", heads[0]);

        // The best route demands and is down, the catch-all is open.
        await proxy.ApplyAsync(
            TestProxy.Service("down") with { Hosts = ["a.test"], Tls = new(null, Authority.Label) },
            TestProxy.Service("rest", instance.EndPoint));
        Assert.Contains(" 403 ", await AskAsync(proxy, "a.test", "a.test", null));
        Assert.Contains(" 200 ", await AskAsync(proxy, "a.test", "a.test", Good));
        Assert.Equal(2, heads.Count);
        Assert.DoesNotContain("Client-Cert", heads[1]);
    }

    [Fact]
    public async Task A_catch_all_asks_clients_that_name_no_host()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(Demanding("app", instance, "*"));
        Assert.Contains(" 200 ", await AskAsync(proxy, "", "127.0.0.1", Good));
        Assert.DoesNotContain(" 200 ", await AskAsync(proxy, "", "127.0.0.1", null));
    }

    [Fact]
    public async Task Another_CA_holds_for_open_connections_too()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        var service = Demanding("app", instance, "a.test");
        await using var proxy = await TestProxy.StartAsync(service);
        await using var client = await ConnectAsync(proxy, "a.test", Good);
        async Task<string> AgainAsync()
        {
            await client.SendAsync(Get("a.test"));
            return await client.ReadResponseAsync();
        }
        Assert.Contains(" 200 ", await AgainAsync());

        proxy.Apply(service with { Tls = new(null, Another.Label) });
        Assert.Contains(" 403 ", await AgainAsync());

        proxy.Apply(service);
        Assert.Contains(" 200 ", await AgainAsync());
    }

    [Theory]
    [InlineData("bm8gUEVN", "is not PEM")]
    [InlineData("%%%", "neither base64 nor secret:NAME")]
    [InlineData("secret:none", "no such secret")]
    public async Task A_wrong_CA_lets_nobody_in_or_the_last_good_one_stays(string label, string reason)
    {
        var heads = new List<string>();
        await using var instance = Recording(heads);
        var wrong = Demanding("app", instance, "a.test") with { Tls = new(null, label) };
        await using var proxy = await TestProxy.StartAsync(wrong);
        Assert.Equal(1, proxy.Log.Count($"CA of clients wrong service=app reason=\"millau.clientca:? .*{reason}.*no client is let in"));
        Assert.StartsWith("HTTP/1.1 403", await AskAsync(proxy, "a.test", "a.test", Good));
        Assert.StartsWith("HTTP/1.1 403", await AskAsync(proxy, "a.test", "a.test", null));
        Assert.StartsWith("HTTP/1.1 403", await proxy.GetAsync(host: "a.test"));
        Assert.Empty(heads);

        proxy.Apply(Demanding("app", instance, "a.test"));
        Assert.Contains(" 200 ", await AskAsync(proxy, "a.test", "a.test", Good));
        proxy.Apply(wrong);
        Assert.Equal(1, proxy.Log.Count("CA of clients wrong .*last good one stays"));
        Assert.Contains(" 200 ", await AskAsync(proxy, "a.test", "a.test", Good));
        Assert.Contains(" 403 ", await AskAsync(proxy, "a.test", "a.test", null));
    }

    [Fact]
    public async Task The_CA_is_named_in_the_handshake_so_that_a_client_can_choose()
    {
        string[]? issuers = null;
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(Demanding("app", instance, "a.test"));
        await using var client = await ScriptedConnection.ConnectTlsAsync(proxy.TlsEndPoint, new()
        {
            TargetHost = "a.test",
            LocalCertificateSelectionCallback = (_, _, _, _, acceptable) =>
            {
                if (acceptable.Length > 0) issuers = acceptable;
                return null!;
            },
        });
        Assert.Equal("CN=CA of clients", Assert.Single(issuers ?? []));
    }

    [Fact]
    public async Task A_host_beside_asks_for_nothing()
    {
        var asked = false;
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(
            Demanding("app", instance, "a.test"), TestProxy.Service("open", instance.EndPoint) with { Hosts = ["b.test"] });
        await using var client = await ScriptedConnection.ConnectTlsAsync(proxy.TlsEndPoint, new()
        {
            TargetHost = "b.test",
            LocalCertificateSelectionCallback = (_, _, _, remote, acceptable) =>
            {
                asked |= acceptable.Length > 0;
                return null!;
            },
        });
        Assert.False(asked);
    }

    private static Service Demanding(string name, ScriptedInstance instance, string host) =>
        TestProxy.Service(name, instance.EndPoint) with { Hosts = [host], Tls = new(null, Authority.Label) };

    private static async Task<string> AskAsync(TestCertificate certificate)
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(Demanding("app", instance, "a.test"));
        return await AskAsync(proxy, "a.test", "a.test", certificate);
    }

    private static async Task<string> AskAsync(
        TestProxy proxy, string serverName, string host, TestCertificate? certificate, SslProtocols version = SslProtocols.None, string path = "/")
    {
        await using var client = await ConnectAsync(proxy, serverName, certificate, version);
        await client.SendAsync(Get(host, path));
        return await client.ReadResponseAsync();
    }

    private static Task<ScriptedConnection> ConnectAsync(
        TestProxy proxy, string serverName, TestCertificate? certificate, SslProtocols version = SslProtocols.None) =>
        ScriptedConnection.ConnectTlsAsync(proxy.TlsEndPoint, Options(serverName, certificate, version));

    private static SslClientAuthenticationOptions Options(
        string serverName, TestCertificate? certificate, SslProtocols version = SslProtocols.None)
    {
        var options = new SslClientAuthenticationOptions { TargetHost = serverName, EnabledSslProtocols = version, AllowTlsResume = true };
        // A context, so that it is sent whatever CAs the server names.
        if (certificate is not null) options.ClientCertificateContext = certificate.Load().Context;
        return options;
    }

    private static string Get(string host, string path = "/") => $"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n";

    private static string Der(TestCertificate certificate) =>
        Convert.ToBase64String(X509Certificate2.CreateFromPem(certificate.CertificatePem).RawData);

    private static ScriptedInstance Recording(List<string> heads) => new(async connection =>
    {
        while (await connection.ReadResponseAsync() is { Length: > 0 } request)
        {
            lock (heads) heads.Add(request);
            await connection.SendAsync(Ok);
        }
    });
}
