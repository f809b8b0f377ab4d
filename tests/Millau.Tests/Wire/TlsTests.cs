using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Time.Testing;
using Millau.Discovery;
using Millau.Tests.Tls;

namespace Millau.Tests.Wire;

/// <summary>Connections with TLS: who is shown which certificate, and what reaches the instance.</summary>
public class TlsTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task A_request_over_TLS_reaches_the_instance_as_https()
    {
        var head = "";
        await using var instance = ScriptedInstance.Answering(Ok, request => head = request);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectTlsAsync();
        await client.SendAsync(Get);
        Assert.EndsWith("\r\n\r\nok", await client.ReadResponseAsync());
        Assert.Contains("\r\nX-Forwarded-Proto: https\r\n", head);
        Assert.Contains("\r\nX-Forwarded-For: 127.0.0.1\r\n", head);
        Assert.Contains("\r\nHost: a.test\r\n", head);
    }

    [Fact]
    public async Task The_name_asked_for_decides_the_certificate_and_without_one_it_is_the_self_signed_one()
    {
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service());
        proxy.Proxy.Apply(new ServiceCatalog([])
        {
            Certificates = [TestCertificate.ForToday("a.test").In("a"), TestCertificate.ForToday("b.test", "*.b.test").In("b")],
        });
        Assert.Equal("a.test", await ShownAsync(proxy, "a.test"));
        Assert.Equal("b.test", await ShownAsync(proxy, "b.test"));
        Assert.Equal("b.test", await ShownAsync(proxy, "x.b.test"));
        Assert.Equal("default.millau.invalid", await ShownAsync(proxy, "c.test"));
        Assert.Equal("default.millau.invalid", await ShownAsync(proxy, ""));
    }

    [Fact]
    public async Task Changed_labels_hold_from_the_next_handshake_and_open_connections_go_on()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        var service = TestProxy.Service(instance.EndPoint);
        await using var proxy = await TestProxy.StartAsync(service);
        proxy.Proxy.Apply(new ServiceCatalog([service]) { Certificates = [TestCertificate.ForToday("a.test", "one.test").In("app")] });
        await using var open = await proxy.ConnectTlsAsync();
        Assert.Contains("one.test", Names(open));
        proxy.Proxy.Apply(new ServiceCatalog([service]) { Certificates = [TestCertificate.ForToday("a.test", "two.test").In("app")] });
        await using var next = await proxy.ConnectTlsAsync();
        Assert.Contains("two.test", Names(next));
        await open.SendAsync(Get);
        Assert.EndsWith("\r\n\r\nok", await open.ReadResponseAsync());
    }

    [Theory]
    [InlineData("h2 http/1.1", "h2")]
    [InlineData("http/1.1", "http/1.1")]
    [InlineData("", "")]
    public async Task The_protocol_is_agreed_in_the_handshake(string offered, string expected)
    {
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service());
        await using var client = await ScriptedConnection.ConnectTlsAsync(proxy.TlsEndPoint, new()
        {
            TargetHost = "a.test",
            ApplicationProtocols = [.. offered.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(p => new SslApplicationProtocol(p))],
        });
        Assert.Equal(expected, client.Tls!.NegotiatedApplicationProtocol.ToString());
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task Versions_of_today_are_spoken(SslProtocols version)
    {
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service());
        await using var client = await ScriptedConnection.ConnectTlsAsync(
            proxy.TlsEndPoint, new() { TargetHost = "a.test", EnabledSslProtocols = version });
        Assert.Equal(version, client.Tls!.SslProtocol);
    }

    [Fact]
    public async Task A_drain_lets_a_request_over_TLS_finish_and_refuses_new_connections()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectTlsAsync();
        await client.SendAsync(Get);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        var drain = proxy.Proxy.DrainAsync(TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(() => IsRefusedAsync(proxy).GetAwaiter().GetResult());
        await upstream.SendAsync(Ok);
        Assert.EndsWith("\r\n\r\nok", await client.ReadResponseAsync());
        await client.DisposeAsync();
        await TestProxy.PassTimeAsync(time, drain.ContinueWith(_ => true, TaskScheduler.Default));
    }

    [Fact]
    public async Task Only_who_offers_the_protocol_of_ACME_is_shown_the_answer_to_a_challenge()
    {
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service());
        var challenges = proxy.Proxy.Handshake.Challenges;
        challenges.Set("a.test", TestCertificate.ForToday("a.test", "challenge.test").Load().Leaf);
        Assert.Equal("default.millau.invalid", await ShownAsync(proxy, "a.test"));
        var offer = new SslClientAuthenticationOptions
        {
            TargetHost = "a.test",
            ApplicationProtocols = [new("acme-tls/1")],
        };
        await using (var client = await ScriptedConnection.ConnectTlsAsync(proxy.TlsEndPoint, offer))
        {
            Assert.Contains("challenge.test", Names(client));
            Assert.Equal("acme-tls/1", client.Tls!.NegotiatedApplicationProtocol.ToString());
        }
        challenges.Remove("a.test");
        await Assert.ThrowsAnyAsync<Exception>(() => ScriptedConnection.ConnectTlsAsync(proxy.TlsEndPoint, offer));
    }

    private static async Task<string> ShownAsync(TestProxy proxy, string serverName)
    {
        await using var client = await proxy.ConnectTlsAsync(serverName);
        return Names(client)[0];
    }

    private static string[] Names(ScriptedConnection client)
    {
        using var shown = new X509Certificate2(client.Tls!.RemoteCertificate!);
        return [.. shown.Extensions.OfType<X509SubjectAlternativeNameExtension>().Single().EnumerateDnsNames()];
    }

    private static async Task<bool> IsRefusedAsync(TestProxy proxy)
    {
        try
        {
            await using var client = await ScriptedConnection.ConnectAsync(proxy.TlsEndPoint);
            return false;
        }
        catch (System.Net.Sockets.SocketException)
        {
            return true;
        }
    }
}
