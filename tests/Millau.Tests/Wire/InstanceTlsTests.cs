using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Time.Testing;
using Millau.Discovery;
using Millau.Tests.Tls;

namespace Millau.Tests.Wire;

/// <summary>TLS with instances: who is trusted, who trusts us, and how a connection ends.</summary>
public sealed class InstanceTlsTests
{
    private const string Name = InstanceKind.ServerName;
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private const string Get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    private const string Post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody";

    private static readonly TestAuthority Authority = InstanceKind.Authority;
    private static readonly TestAuthority Stranger = new("CA of strangers");
    private static readonly TestAuthority ClientAuthority = new("CA of clients");

    public static TheoryData<string, string> BadCertificates => new()
    {
        { "expired", "certificate expired at " },
        { "not yet valid", "certificate is not valid before " },
        { "another CA", "certificate comes from a CA that is not trusted: CN=CA of strangers" },
        { "self-signed", "certificate is self-signed and not trusted: CN=ignored.test" },
        { "another name", "certificate is not for instance.test but for other.test" },
        { "for clients", "certificate is for another use" },
    };

    private static TestCertificate Bad(string what) => what switch
    {
        "expired" => Authority.Issue(TestAuthority.ForServers, -9, Name),
        "not yet valid" => Authority.Issue(TestAuthority.ForServers, 9, Name),
        "another CA" => Stranger.ForServer(Name),
        "self-signed" => TestCertificate.ForToday(Name),
        "another name" => Authority.ForServer("other.test"),
        _ => Authority.Issue(TestAuthority.ForClients, 0, Name),
    };

    [Theory]
    [MemberData(nameof(BadCertificates))]
    public async Task An_instance_whose_certificate_is_not_valid_is_left_out_with_the_reason_and_gets_nothing(string what, string reason)
    {
        await using var good = Speaking(Authority.ForServer(Name));
        await using var bad = Speaking(Bad(what));
        InstanceKind.SpeakTls();
        var service = TestProxy.Service(good.EndPoint, bad.EndPoint);
        await using var proxy = await TestProxy.StartUnprobedAsync(TimeProvider.System, null, service);
        await proxy.Log.WaitForAsync("instance up .*instance=app-1 ");
        await proxy.Log.WaitForAsync($"instance left out .*instance=app-2 .*reason=\"{System.Text.RegularExpressions.Regex.Escape(reason)}");

        for (var i = 0; i < 4; i++) Assert.EndsWith("ok", await proxy.GetAsync());

        Assert.Equal(0, bad.Connections);
        Assert.Equal(1, proxy.Log.Count("left out"));
    }

    [Fact]
    public async Task A_certificate_that_goes_bad_costs_no_request_and_is_said_once()
    {
        var options = InstanceKind.Server(Authority.ForServer(Name));
        await using var one = Speaking(options);
        await using var two = Speaking(Authority.ForServer(Name));
        InstanceKind.SpeakTls();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        options.ServerCertificateContext = Bad("another CA").Load().Context;

        for (var i = 0; i < 4; i++)
        {
            await using var client = await proxy.ConnectAsync();
            await client.SendAsync(Post);
            Assert.EndsWith("ok", await client.ReadResponseAsync());
        }

        Assert.Equal(0, one.Connections);
        Assert.Equal(1, proxy.Log.Count("instance left out .*instance=app-1 .*CA that is not trusted"));
    }

    [Fact]
    public async Task Without_a_valid_instance_the_answer_is_502()
    {
        await using var bad = Speaking(Bad("expired"));
        InstanceKind.SpeakTls();
        await using var proxy = await TestProxy.StartUnprobedAsync(TimeProvider.System, null, TestProxy.Service(bad.EndPoint));
        await proxy.Log.WaitForAsync("instance left out");

        var answer = await proxy.GetAsync();

        Assert.StartsWith("HTTP/1.1 502 ", answer);
        Assert.EndsWith("\r\n\r\nNo instance answered: no TLS with it\n", answer);
        Assert.Equal(0, bad.Connections);
    }

    [Theory]
    [InlineData("api.test *", Name)]
    [InlineData("* instance.test b.test", null)]
    public async Task The_name_is_the_label_s_or_the_first_host_s_and_asked_for_by_SNI(string hosts, string? label)
    {
        var asked = "";
        var options = InstanceKind.Server(Authority.ForServer(Name));
        var context = options.ServerCertificateContext;
        options.ServerCertificateContext = null;
        options.ServerCertificateSelectionCallback = (_, name) =>
        {
            asked = name;
            return context!.TargetCertificate;
        };
        await using var instance = Speaking(options);
        var labels = ServiceLabelsOf(hosts, label);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint) with { Tls = labels });

        Assert.EndsWith("ok", await proxy.GetAsync());
        Assert.Equal(Name, asked);
    }

    [Fact]
    public async Task Intermediates_may_come_from_the_instance_or_from_the_label()
    {
        var between = new TestAuthority("CA between", Authority);
        var leaf = between.ForServer(Name);
        await using var whole = Speaking(leaf with { CertificatePem = leaf.CertificatePem + "\n" + between.Pem });
        await using var alone = Speaking(leaf);
        await using var proxy = await TestProxy.StartAsync(
            TestProxy.Service("whole", whole.EndPoint) with { Hosts = ["whole.test"], Tls = Trusting(Authority.Pem) },
            TestProxy.Service("alone", alone.EndPoint) with { Hosts = ["alone.test"], Tls = Trusting(between.Pem + "\n" + Authority.Pem) });

        // Several connections each: those that resume a session are judged as the first.
        for (var i = 0; i < 3; i++)
        {
            Assert.EndsWith("ok", await proxy.GetAsync(host: "whole.test"));
            Assert.EndsWith("ok", await proxy.GetAsync(host: "alone.test"));
        }
    }

    [Fact]
    public async Task A_session_that_could_be_resumed_does_not_stand_for_another_CA()
    {
        await using var instance = Speaking(Authority.ForServer(Name));
        var first = TestProxy.Service("first", instance.EndPoint) with { Hosts = ["first.test"], Tls = Trusting(Authority.Pem) };
        var second = TestProxy.Service("second", instance.EndPoint) with { Hosts = ["second.test"], Tls = Trusting(Stranger.Pem) };
        await using var proxy = await TestProxy.StartAsync(first);
        for (var i = 0; i < 3; i++) Assert.EndsWith("ok", await proxy.GetAsync(host: "first.test"));

        proxy.Apply(first, second);
        await proxy.Log.WaitForAsync("instance left out .*instance=second-1 .*CA that is not trusted");

        Assert.StartsWith("HTTP/1.1 502", await proxy.GetAsync(host: "second.test"));
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task The_own_certificate_is_shown_to_an_instance_that_asks(SslProtocols version)
    {
        string? shown = null;
        await using var instance = Speaking(Demanding(version, certificate => shown = certificate?.Subject));
        var own = ClientAuthority.Issue(TestAuthority.ForClients, 0, "millau");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint) with { Tls = Trusting(Authority.Pem, own) });

        for (var i = 0; i < 3; i++) Assert.EndsWith("ok", await proxy.GetAsync());
        Assert.Equal("CN=millau", shown);
    }

    [Theory]
    [InlineData(SslProtocols.Tls12, false)]
    [InlineData(SslProtocols.Tls12, true)]
    [InlineData(SslProtocols.Tls13, false)]
    [InlineData(SslProtocols.Tls13, true)]
    public async Task An_instance_that_refuses_our_certificate_is_left_out_and_the_request_goes_to_the_next(SslProtocols version, bool wrong)
    {
        await using var refusing = Speaking(Demanding(version, _ => { }));
        await using var other = Speaking(Authority.ForServer(Name));
        var own = wrong ? Stranger.Issue(TestAuthority.ForClients, 0, "millau") : null;
        var service = TestProxy.Service(refusing.EndPoint, other.EndPoint) with { Tls = Trusting(Authority.Pem, own) };
        await using var proxy = await TestProxy.StartUnprobedAsync(TimeProvider.System, null, service);
        await proxy.Log.WaitForAsync("instance up .*instance=app-2 ");
        // In TLS 1.3 the probe does not see the refusal, and the first request does.
        await proxy.Log.WaitForAsync("instance (up|left out) .*instance=app-1 ");

        for (var i = 0; i < 4; i++)
        {
            await using var client = await proxy.ConnectAsync();
            await client.SendAsync(Get.Replace("GET", "HEAD", StringComparison.Ordinal));
            Assert.StartsWith("HTTP/1.1 200", await client.ReadHeadAsync());
        }

        Assert.Equal(0, refusing.Connections);
        Assert.Equal(1, proxy.Log.Count("instance left out .*instance=app-1 "));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_that_ends_with_its_connection_is_whole_only_if_TLS_says_so(bool saysEnd)
    {
        await using var instance = new ScriptedInstance(null, tls: InstanceKind.Server(Authority.ForServer(Name)));
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint) with { Tls = Trusting(Authority.Pem) });
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Get.Replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", StringComparison.Ordinal));
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync("HTTP/1.1 200 OK\r\n\r\nhello");
        await client.ReadUntilAsync("hello");

        if (saysEnd) await upstream.DisposeAsync();
        else upstream.Cut();

        Assert.Equal(saysEnd, (await client.ReadToEndAsync()).EndsWith("0\r\n\r\n", StringComparison.Ordinal));
        Assert.Equal(saysEnd ? 0 : 1, proxy.Log.Count("response cut short"));
    }

    [Fact]
    public async Task A_body_of_known_length_needs_no_word_of_its_end()
    {
        await using var instance = new ScriptedInstance(null, tls: InstanceKind.Server(Authority.ForServer(Name)));
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint) with { Tls = Trusting(Authority.Pem) });
        await using var client = await proxy.ConnectAsync();
        for (var i = 0; i < 3; i++)
        {
            await client.SendAsync(Get);
            var upstream = await instance.AcceptAsync();
            await upstream.ReadHeadAsync();
            await upstream.SendAsync(Ok);
            upstream.Cut();
            Assert.EndsWith("ok", await client.ReadResponseAsync());
        }
        Assert.DoesNotContain(proxy.Log.Entries, e => e.Level >= Microsoft.Extensions.Logging.LogLevel.Warning);
    }

    [Fact]
    public async Task An_instance_hears_the_end_of_an_idle_connection_as_TLS_has_it()
    {
        await using var instance = new ScriptedInstance(null, tls: InstanceKind.Server(Authority.ForServer(Name)));
        var service = TestProxy.Service(instance.EndPoint) with { Tls = Trusting(Authority.Pem) };
        await using var proxy = await TestProxy.StartAsync(service);
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Get);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync(Ok);
        await client.ReadResponseAsync();

        proxy.Apply();

        // Without close_notify the reading would fail, not end.
        Assert.Equal(0, await upstream.Tls!.ReadAsync(new byte[1]).AsTask().WaitAsync(ScriptedConnection.Deadline));
    }

    [Fact]
    public async Task A_handshake_that_nobody_answers_is_given_up_after_five_seconds_and_the_request_goes_on()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using var one = Speaking(Authority.ForServer(Name));
        await using var two = Speaking(Authority.ForServer(Name));
        await using var proxy = await TestProxy.StartAsync(
            time, TestProxy.Service(one.EndPoint, two.EndPoint) with { Tls = Trusting(Authority.Pem) });
        one.IsSilent = true;
        var started = time.GetUtcNow();
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Post);
        Assert.EndsWith("ok", await TestProxy.PassTimeAsync(time, client.ReadResponseAsync()));

        Assert.InRange((time.GetUtcNow() - started).TotalSeconds, 4.9, 8);
        Assert.Equal(1, proxy.Log.Count("instance left out .*instance=app-1 .*TLS handshake timed out"));
    }

    [Fact]
    public async Task An_instance_without_TLS_is_left_out_and_never_spoken_to_in_plain()
    {
        await using var plain = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartUnprobedAsync(
            TimeProvider.System, null, TestProxy.Service(plain.EndPoint) with { Tls = Trusting(Authority.Pem), Timeout = TimeSpan.FromMilliseconds(200) });
        await proxy.Log.WaitForAsync("instance left out .*TLS handshake");
        Assert.StartsWith("HTTP/1.1 50", await proxy.GetAsync());
    }

    [Fact]
    public async Task Another_CA_ends_the_use_of_connections_made_under_the_last_one()
    {
        await using var instance = Speaking(Authority.ForServer(Name));
        var service = TestProxy.Service(instance.EndPoint) with { Tls = Trusting(Authority.Pem) };
        await using var proxy = await TestProxy.StartAsync(service);
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Get);
        Assert.EndsWith("ok", await client.ReadResponseAsync());

        proxy.Apply(service with { Tls = Trusting(Stranger.Pem) });
        await client.SendAsync(Get);
        Assert.StartsWith("HTTP/1.1 502", await client.ReadResponseAsync());

        proxy.Apply(service with { Tls = Trusting(Stranger.Pem + "\n" + Authority.Pem) });
        await client.SendAsync(Get);
        Assert.EndsWith("ok", await client.ReadResponseAsync());
    }

    [Fact]
    public async Task A_CA_in_a_secret_is_read_again_and_a_broken_one_does_not_replace_it()
    {
        var directory = Directory.CreateTempSubdirectory();
        try
        {
            var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
            var file = Path.Combine(directory.FullName, "ca");
            await using var instance = Speaking(Authority.ForServer(Name));
            var service = TestProxy.Service(instance.EndPoint) with
            {
                Tls = new(new InstanceTlsLabels(Name, "secret:ca", null, null), null),
            };
            await using var proxy = await TestProxy.StartUnprobedAsync(time, null, directory.FullName, [service]);
            await proxy.Log.WaitForAsync("TLS with instances wrong service=app reason=\"millau.ca: no such secret: .*no connection is made");
            await File.WriteAllTextAsync(file, Authority.Pem);
            await TestProxy.PassTimeAsync(time, proxy.Log.WaitForAsync("instance up").ContinueWith(_ => true, TaskScheduler.Default));
            Assert.EndsWith("ok", await proxy.GetAsync());

            await File.WriteAllTextAsync(file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
            time.Advance(TimeSpan.FromSeconds(6));
            await proxy.Log.WaitForAsync("TLS with instances wrong .*CERTIFICATE block of the PEM is broken.*last good one stays");
            Assert.EndsWith("ok", await proxy.GetAsync());

            await File.WriteAllTextAsync(file, Stranger.Pem);
            time.Advance(TimeSpan.FromSeconds(6));
            await proxy.Log.WaitForAsync("TLS with instances service=app .*CA of strangers");
            Assert.StartsWith("HTTP/1.1 502", await proxy.GetAsync());
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task A_private_key_in_a_label_is_warned_of_and_not_shown()
    {
        var own = ClientAuthority.Issue(TestAuthority.ForClients, 0, "millau");
        await using var instance = Speaking(Authority.ForServer(Name));
        await using var proxy = await TestProxy.StartAsync(
            TestProxy.Service(instance.EndPoint) with { Tls = Trusting(Authority.Pem, own) });

        Assert.Equal(1, proxy.Log.Count("private key in a label service=app label=millau.clientkey"));
        Assert.DoesNotContain(proxy.Log.Entries, e => e.Text.Contains(own.KeyLabel[..40], StringComparison.Ordinal)
            || e.Text.Contains("PRIVATE", StringComparison.Ordinal));
    }

    private static TlsLabels Trusting(string pem, TestCertificate? own = null) =>
        new(new InstanceTlsLabels(Name, TestCertificate.Base64(pem), own?.CertificateLabel, own?.KeyLabel), null);

    private static TlsLabels ServiceLabelsOf(string hosts, string? serverName)
    {
        var labels = new Dictionary<string, string?>
        {
            ["millau.enabled"] = "true", ["millau.port"] = "80", ["millau.hosts"] = hosts,
            ["millau.scheme"] = "https", ["millau.ca"] = Authority.Label,
        };
        if (serverName is not null) labels["millau.servername"] = serverName;
        return ServiceLabels.Read(labels).Labels!.Tls;
    }

    private static SslServerAuthenticationOptions Demanding(SslProtocols version, Action<X509Certificate?> onCertificate)
    {
        var options = InstanceKind.Server(Authority.ForServer(Name));
        options.EnabledSslProtocols = version;
        options.ClientCertificateRequired = true;
        options.CertificateChainPolicy = Millau.Tls.CertificateAuthority.Policy(
            ClientAuthority.Load(), Millau.Tls.CertificateAuthority.ClientAuthentication);
        options.RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
        {
            onCertificate(certificate);
            return errors == SslPolicyErrors.None;
        };
        return options;
    }

    private static ScriptedInstance Speaking(TestCertificate certificate) => Speaking(InstanceKind.Server(certificate));

    private static ScriptedInstance Speaking(SslServerAuthenticationOptions options) => new(
        async connection =>
        {
            while (await connection.ReadResponseAsync() is { Length: > 0 }) await connection.SendAsync(Ok);
        },
        tls: options);
}
