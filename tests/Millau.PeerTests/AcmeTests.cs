using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests;

/// <summary>Automatic HTTPS of the native binary against pebble, which refuses nonces and takes its time over challenges.</summary>
public class AcmeTests
{
    [Fact]
    public async Task A_service_that_appears_has_its_certificate_within_seconds_by_http_01()
    {
        await using var pebble = await Pebble.StartAsync(badNonces: 90);
        await using var run = await Run.StartAsync(pebble);
        var started = Stopwatch.GetTimestamp();

        await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org www.shop.millau-peer.org"));

        var certificate = await pebble.CertifiedAsync(() => run.Log, "shop.millau-peer.org", "www.shop.millau-peer.org");
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(30), $"{Stopwatch.GetElapsedTime(started)}");
        Assert.Equal(1, pebble.Issued);
        Assert.Contains("challenge=http-01", run.Log);
        Assert.DoesNotContain("WARN", run.Log);
        await run.AssertTrustedAsync(certificate, "shop.millau-peer.org");
    }

    [Fact]
    public async Task Where_the_plain_port_cannot_be_reached_tls_alpn_01_does()
    {
        await using var pebble = await Pebble.StartAsync(httpPort: Ports.Free());
        await using var run = await Run.StartAsync(pebble);

        await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));

        await pebble.CertifiedAsync(() => run.Log, "shop.millau-peer.org");
        Assert.Contains("challenge=tls-alpn-01", run.Log);
    }

    [Fact]
    public async Task A_restart_keeps_account_and_certificates()
    {
        await using var pebble = await Pebble.StartAsync();
        string serial;
        await using (var run = await Run.StartAsync(pebble))
        {
            await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));
            serial = (await pebble.CertifiedAsync(() => run.Log, "shop.millau-peer.org")).SerialNumber;
        }
        // Keys are nobody else's business.
        var modes = await Tool.RunAsync("find", [pebble.Data, "-type", "f", "-printf", "%m\n"]);
        Assert.Equal(["600"], modes.Succeeded.Split('\n', StringSplitOptions.RemoveEmptyEntries).Distinct());

        await using var again = await Run.StartAsync(pebble);
        await again.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));
        await again.Swarm.DeployAsync("blog", 1, "hello", ("millau.hosts", "blog.millau-peer.org"));

        Assert.Equal(serial, (await pebble.HandshakeAsync("shop.millau-peer.org")).SerialNumber);
        await pebble.CertifiedAsync(() => again.Log, "blog.millau-peer.org");
        Assert.Equal(serial, (await pebble.HandshakeAsync("shop.millau-peer.org")).SerialNumber);
        Assert.Equal(2, pebble.Issued);
        Assert.DoesNotContain("acme account ready", again.Log);
    }

    [Fact]
    public async Task With_a_third_of_its_life_left_a_certificate_is_renewed()
    {
        await using var pebble = await Pebble.StartAsync(delay: 0, validity: TimeSpan.FromSeconds(24));
        await using var run = await Run.StartAsync(pebble);
        await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));
        var first = await pebble.CertifiedAsync(() => run.Log, "shop.millau-peer.org");

        await Until.TrueAsync(async () =>
            (await pebble.HandshakeAsync("shop.millau-peer.org")).SerialNumber != first.SerialNumber, "renewed");

        var left = first.NotAfter - DateTime.Now;
        Assert.True(left > TimeSpan.Zero, $"{left}\n{run.Log}");
        Assert.Contains("reason=renewal", run.Log);
    }

    [Fact]
    public async Task A_ca_that_is_down_at_start_is_tried_until_it_is_there_and_nobody_waits_for_it()
    {
        await using var pebble = await Pebble.StartAsync(start: false);
        await using var run = await Run.StartAsync(pebble);
        await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));
        await Until.TrueAsync(() => run.Log.Contains("acme authority cannot be used"), "the failure is told");
        // Plain and TLS serve all the same, the latter with the certificate made at start.
        await Until.TrueAsync(async () => (await run.GetAsync("shop.millau-peer.org")).Contains("hello"), "served");

        await pebble.UpAsync();

        await pebble.CertifiedAsync(() => run.Log, "shop.millau-peer.org");
    }

    [Fact]
    public async Task A_ca_that_is_down_at_renewal_leaves_the_certificate_in_force()
    {
        await using var pebble = await Pebble.StartAsync(delay: 0, validity: TimeSpan.FromSeconds(30));
        await using var run = await Run.StartAsync(pebble);
        await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));
        var first = await pebble.CertifiedAsync(() => run.Log, "shop.millau-peer.org");
        await pebble.DownAsync();

        await Until.TrueAsync(() => run.Log.Contains("acme authority cannot be used"), "the failure is told");

        Assert.Equal(first.SerialNumber, (await pebble.HandshakeAsync("shop.millau-peer.org")).SerialNumber);
        Assert.Contains("hello", await run.GetAsync("shop.millau-peer.org"));
        // It comes back and knows neither the account nor the certificate.
        await pebble.UpAsync();
        await Until.TrueAsync(async () =>
            (await pebble.HandshakeAsync("shop.millau-peer.org")).SerialNumber != first.SerialNumber, "renewed");
    }

    [Fact]
    public async Task A_name_that_fails_holds_up_no_other()
    {
        await using var pebble = await Pebble.StartAsync();
        await pebble.MisleadAsync("lost.millau-peer.org");
        await using var run = await Run.StartAsync(pebble);

        await run.Swarm.DeployAsync("shop", 1, "hello",
            ("millau.hosts", "one.millau-peer.org lost.millau-peer.org blocked.millau-peer.org two.millau-peer.org intern.local"));
        await run.Swarm.DeployAsync("blog", 1, "hello", ("millau.hosts", "blog.millau-peer.org"));

        await pebble.CertifiedAsync(() => run.Log, "one.millau-peer.org", "two.millau-peer.org", "blog.millau-peer.org");
        // In the words of the CA.
        await Until.TrueAsync(() => run.Log.Contains("name=lost.millau-peer.org challenge=tls-alpn-01 error=\"unauthorized: Failed to connect to"), "told\n" + run.Log);
        await Until.TrueAsync(() => run.Log.Contains("name=blocked.millau-peer.org challenge=http-01 error=\"rejectedIdentifier: "), "told\n" + run.Log);
        Assert.DoesNotContain("intern.local", pebble.Output);
    }

    [Fact]
    public async Task Two_hundred_names_of_one_service_are_two_certificates()
    {
        await using var pebble = await Pebble.StartAsync(badNonces: 5, delay: 0);
        await using var run = await Run.StartAsync(pebble);
        var names = Enumerable.Range(0, 200).Select(i => $"n{i:000}.millau-peer.org").ToArray();

        await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", string.Join(' ', names)));

        await pebble.CertifiedAsync(() => run.Log, names);
        Assert.Equal(2, pebble.Issued);
    }

    [Fact]
    public async Task An_account_is_bound_to_the_one_that_the_ca_knows()
    {
        const string key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
        await using var pebble = await Pebble.StartAsync(externalAccount: ("kid-1", key));
        await using var run = await Run.StartAsync(pebble, ("ACME_EAB_KID", "kid-1"), ("ACME_EAB_HMAC", key));

        await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));

        await pebble.CertifiedAsync(() => run.Log, "shop.millau-peer.org");
        Assert.DoesNotContain(key, run.Log);
        Assert.All(Directory.EnumerateFiles(pebble.Data, "*", SearchOption.AllDirectories), file =>
            Assert.DoesNotContain(key, File.ReadAllText(file)));
    }

    [Fact]
    public async Task A_ca_that_wants_a_known_account_is_told_of_in_one_line_with_the_settings()
    {
        await using var pebble = await Pebble.StartAsync(externalAccount: ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"));
        await using var run = await Run.StartAsync(pebble);

        await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));

        await Until.TrueAsync(() => run.Log.Contains("ACME_EAB_KID"), "told");
    }

    [Fact]
    public async Task A_directory_that_cannot_be_written_is_told_of_once_and_certificates_are_served_from_memory()
    {
        await using var pebble = await Pebble.StartAsync(delay: 0);
        // A file where a directory ought to be: also root cannot write there.
        await File.WriteAllTextAsync(pebble.Data, "");
        await using var run = await Run.StartAsync(pebble);

        await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));

        await pebble.CertifiedAsync(() => run.Log, "shop.millau-peer.org");
        Assert.Equal(2, run.Log.Split("acme state cannot be written").Length);
    }

    [Fact]
    public async Task On_a_full_disk_certificates_are_served_from_memory_until_there_is_space()
    {
        await using var pebble = await Pebble.StartAsync(delay: 0);
        Directory.CreateDirectory(pebble.Data);
        await Tool.RunAsync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", pebble.Data]);
        try
        {
            var filler = Path.Combine(pebble.Data, "filler");
            await Tool.RunAsync("dd", ["if=/dev/zero", $"of={filler}", "bs=4k"]);
            await using var run = await Run.StartAsync(pebble);

            await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));

            await pebble.CertifiedAsync(() => run.Log, "shop.millau-peer.org");
            Assert.Contains("acme state cannot be written", run.Log);
            File.Delete(filler);
            await Until.TrueAsync(() => run.Log.Contains("acme state is written again"), "written", TimeSpan.FromSeconds(100));
        }
        finally
        {
            await Tool.RunAsync("umount", ["-l", pebble.Data]);
        }
    }

    [Theory]
    [InlineData("+1d")]
    [InlineData("-400d")]
    public async Task A_clock_that_is_wrong_makes_no_orders(string offset)
    {
        await using var pebble = await Pebble.StartAsync(delay: 0);
        string serial;
        await using (var run = await Run.StartAsync(pebble))
        {
            await run.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));
            serial = (await pebble.CertifiedAsync(() => run.Log, "shop.millau-peer.org")).SerialNumber;
        }

        await using var wrong = await Run.StartAsync(pebble, Run.Clock(offset));
        await wrong.Swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", "shop.millau-peer.org"));
        await Until.TrueAsync(async () => (await wrong.GetAsync("shop.millau-peer.org")).Contains("hello"), "served");
        // One that needs a certificate shows that the CA is asked, and with what clock.
        await wrong.Swarm.DeployAsync("blog", 1, "hello", ("millau.hosts", "blog.millau-peer.org"));
        await pebble.CertifiedAsync(() => wrong.Log, "blog.millau-peer.org");

        Assert.Contains("acme authority has another time", wrong.Log);
        Assert.Equal(2, pebble.Issued);
        Assert.Equal(serial, (await pebble.HandshakeAsync("shop.millau-peer.org")).SerialNumber);
    }

    /// <summary>A Millau before a Swarm of its own, with state where pebble's is.</summary>
    private sealed class Run : IAsyncDisposable
    {
        private readonly EngineStandIn _engine;
        private readonly MillauBinary _millau;
        private readonly Pebble _pebble;

        private Run(EngineStandIn engine, MillauBinary millau, Pebble pebble)
        {
            _engine = engine;
            _millau = millau;
            _pebble = pebble;
            Swarm = new DemoSwarm(engine);
        }

        public DemoSwarm Swarm { get; }

        public string Log => _millau.Output;

        public static async Task<Run> StartAsync(Pebble pebble, params (string, string?)[] settings)
        {
            var engine = await EngineStandIn.StartAsync();
            try
            {
                return new Run(engine, await MillauBinary.StartAsync(engine, [.. pebble.Settings, .. settings]), pebble);
            }
            catch
            {
                await engine.DisposeAsync();
                throw;
            }
        }

        /// <summary>Makes the process think that it is another time.</summary>
        public static (string, string?)[] Clock(string offset) =>
        [
            ("LD_PRELOAD", Directory.EnumerateFiles("/usr/lib", "libfaketimeMT.so.1", SearchOption.AllDirectories).First()),
            ("FAKETIME", offset),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];

        public async Task<string> GetAsync(string host) =>
            (await Tool.RunAsync("curl", ["-sk", "--resolve", $"{host}:{_pebble.Https}:127.0.0.1", $"https://{host}:{_pebble.Https}/"])).Output;

        /// <summary>The chain that is served leads to the server's root, for those who ask it for that.</summary>
        public async Task AssertTrustedAsync(X509Certificate2 certificate, string host)
        {
            Assert.True(certificate.MatchesHostname(host));
            var chain = await Tool.RunAsync("openssl", ["s_client", "-connect", $"127.0.0.1:{_pebble.Https}", "-servername", host, "-showcerts"]);
            Assert.Equal(3, chain.Output.Split("-----BEGIN CERTIFICATE-----").Length);
        }

        public async ValueTask DisposeAsync()
        {
            await _millau.DisposeAsync();
            await Swarm.DisposeAsync();
            await _engine.DisposeAsync();
        }
    }
}
