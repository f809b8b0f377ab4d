using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Millau.Discovery;
using Millau.Tests.Wire;
using Millau.Tls;

namespace Millau.Tests.Tls;

/// <summary>What becomes of labels and secrets: which certificate is in force, and what is said.</summary>
public sealed class CertificateStoreTests : IDisposable
{
    private static readonly HostClaims Rules = ParseRules();

    private readonly DirectoryInfo _secrets = Directory.CreateTempSubdirectory("millau-secrets-");
    private readonly FakeTimeProvider _time = new(TestCertificate.Now);
    private readonly RecordedLog _log = new();
    private readonly CertificateStore _store;

    public CertificateStoreTests() => _store = new CertificateStore(new SecretFiles(_secrets.FullName), _time, _log);

    [Fact]
    public void A_certificate_serves_every_name_it_covers_also_of_a_service_that_is_not_routed()
    {
        Apply(TestCertificate.For("a.test", "*.b.test").In("off"));
        Assert.Equal("a.test", Shown("a.test"));
        Assert.Equal("a.test", Shown("X.b.test"));
        Assert.Equal(SelfSigned.Name, Shown("b.test"));
    }

    [Fact]
    public void A_certificate_with_a_name_that_its_stack_may_not_claim_is_shown_to_nobody()
    {
        Assert.True(HostClaims.TryParse("shop=shop.test *.shop.test", out var rules));
        var claim = new HostClaim(rules, "shop");

        Apply(TestCertificate.For("shop.test", "bank.test").In("app") with { Claim = claim });
        Assert.Equal([SelfSigned.Name, SelfSigned.Name], [Shown("bank.test"), Shown("shop.test")]);
        Assert.Contains(Warnings(), w => w.Contains("ALLOWED_HOSTS does not grant its name bank.test to the stack", StringComparison.Ordinal));
        Apply(TestCertificate.For("*.test").In("app") with { Claim = claim });
        Assert.Equal([SelfSigned.Name, SelfSigned.Name], [Shown("bank.test"), Shown("shop.test")]);
        Apply(TestCertificate.For("shop.test", "*.shop.test").In("app") with { Claim = claim });

        Assert.Equal(["shop.test", SelfSigned.Name], [Shown("www.shop.test"), Shown("bank.test")]);
    }

    [Fact]
    public void A_certificate_is_shown_no_more_once_another_stack_has_its_service_that_may_not_claim_it()
    {
        var certificate = TestCertificate.For("bank.test").In("app");

        Apply(certificate with { Claim = Bank });
        Assert.Equal("bank.test", Shown("bank.test"));
        Apply(certificate with { Claim = Shop });

        Assert.Equal(SelfSigned.Name, Shown("bank.test"));
        Assert.Contains("does not grant its name bank.test to the stack", _store.Status[0].Problem);
        Assert.Contains("result=\"not used\"", Warnings()[^1]);
    }

    [Fact]
    public void A_certificate_that_was_refused_is_shown_once_a_stack_has_its_service_that_may_claim_it()
    {
        var certificate = TestCertificate.For("bank.test").In("app");

        Apply(certificate with { Claim = Shop });
        Assert.Equal(SelfSigned.Name, Shown("bank.test"));
        Apply(certificate with { Claim = Bank });

        Assert.Equal("bank.test", Shown("bank.test"));
        Assert.Equal("", _store.Status[0].Problem);
    }

    [Fact]
    public void A_certificate_that_is_refused_leaves_none_in_force_that_only_the_former_stack_may_claim()
    {
        Apply(TestCertificate.For("bank.test").In("app") with { Claim = Bank });
        Apply(TestCertificate.For("shop.test", "bank.test").In("app") with { Claim = Shop });

        Assert.Equal(SelfSigned.Name, Shown("bank.test"));
    }

    [Fact]
    public void A_certificate_goes_with_its_stack_though_its_problem_stays()
    {
        Write("cert", TestCertificate.For("bank.test"));
        var certificate = new ServiceCertificate("app", "secret:cert.pem", "secret:cert.key");
        Apply(certificate with { Claim = Bank });
        File.Delete(Path.Combine(_secrets.FullName, "cert.key"));
        _time.Advance(CertificateStore.WatchPeriod);
        Assert.Equal("bank.test", Shown("bank.test"));

        Apply(certificate with { Claim = Shop });

        Assert.Equal(SelfSigned.Name, Shown("bank.test"));
    }

    [Fact]
    public void The_last_good_certificate_stays_if_the_new_stack_may_claim_it_as_well()
    {
        var certificate = TestCertificate.For("shop.test").In("app");
        Apply(certificate with { Claim = Shop });

        Apply(certificate with { Claim = new HostClaim(Rules, "outlet"), Key = Label("words") });

        Assert.Equal("shop.test", Shown("shop.test"));
        Assert.Contains("result=\"last good one stays\"", Warnings()[^1]);
    }

    [Fact]
    public void A_service_routed_for_a_host_lends_its_certificate_to_it_until_it_is_routed_no_more()
    {
        var pair = TestCertificate.For("other.test").In("app");
        _store.Apply(new ServiceCatalog([App("a.test", "c.test")]) { Certificates = [pair] });
        Assert.Equal("other.test", Shown("c.test"));
        _store.Apply(new ServiceCatalog([App("a.test")]) { Certificates = [pair] });
        Assert.Equal("other.test", Shown("a.test"));
        Assert.Equal(SelfSigned.Name, Shown("c.test"));
        Apply(pair);
        Assert.Equal(SelfSigned.Name, Shown("a.test"));
    }

    [Fact]
    public void Labels_that_go_take_their_certificate_with_them()
    {
        Apply(TestCertificate.For("a.test").In("app"));
        Apply();
        Assert.Equal(SelfSigned.Name, Shown("a.test"));
        Assert.Equal(CertificateSource.SelfSigned, Assert.Single(_store.Status).Source);
    }

    [Fact]
    public void A_key_in_a_label_is_warned_of_once_for_each_service_and_the_way_out_is_named()
    {
        Apply(TestCertificate.For("a.test").In("app"));
        Apply(TestCertificate.For("a.test").In("app"), TestCertificate.For("b.test").In("blog"));
        Apply(TestCertificate.For("a.test").In("app"));
        Assert.Equal(
            ["private key in a label service=app", "private key in a label service=blog"],
            Warnings().Select(w => string.Join(' ', w.Split(' ')[..6])));
        Assert.All(Warnings(), w => Assert.Contains("write secret:NAME in the label", w));
    }

    [Fact]
    public void Base64_with_line_breaks_is_base64()
    {
        var pair = TestCertificate.For("a.test");
        Apply(new ServiceCertificate("app", Wrapped(pair.CertificateLabel), Wrapped(pair.KeyLabel)));
        Assert.Equal("a.test", Shown("a.test"));
    }

    public static TheoryData<string, string> WrongPairs()
    {
        var other = TestCertificate.For("b.test");
        return new()
        {
            { "cert=" + Label(other.CertificatePem), "the key does not belong to the certificate (the first, if there are several)" },
            { "cert=%%%", "millau.cert: neither base64 nor secret:NAME" },
            { "cert=" + Label("words"), "the certificate is not PEM: it has no CERTIFICATE block" },
            { "key=" + Label("words"), "the key is not PEM: it has no PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY block" },
            { "key=secret:none", "millau.key: no such secret: */none does not exist; give the secret to Millau's own service" },
            { "key=secret:../../etc/passwd", "millau.key: a secret's name has letters, digits, '-', '_' and '.' only, such as secret:example.key" },
        };
    }

    [Theory]
    [MemberData(nameof(WrongPairs))]
    public void A_wrong_pair_is_said_once_and_the_last_good_one_stays(string change, string reason)
    {
        var good = TestCertificate.For("a.test").In("app");
        Apply(good);
        var (label, value) = (change.Split('=', 2)[0], change.Split('=', 2)[1]);
        var wrong = label == "cert" ? good with { Certificate = value } : good with { Key = value };
        Apply(wrong);
        Apply(wrong);
        _time.Advance(CertificateStore.WatchPeriod);

        Assert.Equal("a.test", Shown("a.test"));
        Assert.Equal(
            [$"certificate wrong service=app reason=\"{reason}\" result=\"last good one stays\""],
            Warnings().Where(w => w.StartsWith("certificate wrong", StringComparison.Ordinal)).Select(WithoutRoot));
        var status = _store.Status[0];
        Assert.Equal(reason, WithoutRoot(status.Problem));
        Assert.Equal(["a.test"], status.Names);

        Apply(good);
        Assert.Equal("", _store.Status[0].Problem);
    }

    [Fact]
    public void A_wrong_pair_without_a_good_past_is_no_certificate()
    {
        Apply(TestCertificate.For("a.test").In("app") with { Key = Label("words") });
        Assert.Equal(SelfSigned.Name, Shown("a.test"));
        Assert.Contains("result=\"not used\"", Warnings()[^1]);
        Assert.Null(_store.Status[0].NotAfter);
    }

    [Fact]
    public void An_expired_pair_replaces_no_valid_one_but_is_better_than_none()
    {
        var expired = TestCertificate.For(TestCertificate.Now.AddDays(-90), TestCertificate.Now.AddDays(-1), "a.test", "expired.test");
        Apply(TestCertificate.For("a.test").In("app"));
        var valid = _store.Select("a.test");
        Apply(expired.In("app"));
        Assert.Same(valid, _store.Select("a.test"));
        Assert.Contains("reason=\"expired on 2026-05-31 12:00:00Z\" result=\"last good one stays\"", Warnings()[^1]);

        Apply(expired.In("blog"));
        Assert.Equal(expired.Load().Leaf, _store.Select("a.test")!.Leaf);
        Assert.Contains("result=\"used only where no valid one covers the name\"", Warnings()[^1]);
        Assert.False(_store.Covers("a.test"));
    }

    [Fact]
    public void A_certificate_that_expires_in_service_is_said_then_and_gives_way()
    {
        Apply(
            TestCertificate.For(TestCertificate.Now.AddDays(-1), TestCertificate.Now.AddMinutes(5), "a.test", "short.test").In("short"),
            TestCertificate.For(TestCertificate.Now.AddDays(-1), TestCertificate.Now.AddMinutes(4), "a.test", "shorter.test").In("shorter"));
        Assert.Contains("short.test", _store.Select("a.test")!.Names);
        Assert.True(_store.Covers("a.test"));
        _time.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(2, _log.Count("certificate wrong service=short.*expired on"));
        Assert.False(_store.Covers("a.test"));
        Assert.Equal(2, _store.Status.Count(s => s.Problem.StartsWith("expired on", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_secret_is_read_and_watched()
    {
        Write("cert", TestCertificate.For("a.test", "one.test"));
        Apply(new ServiceCertificate("app", "secret:cert.pem", "SECRET:cert.key"));
        Assert.Contains("one.test", _store.Select("a.test")!.Names);
        Assert.Empty(Warnings());

        Write("cert", TestCertificate.For("a.test", "two.test"));
        Assert.Contains("one.test", _store.Select("a.test")!.Names);
        _time.Advance(CertificateStore.WatchPeriod);
        Assert.Contains("two.test", _store.Select("a.test")!.Names);
    }

    [Fact]
    public void A_secret_that_is_half_written_or_gone_leaves_the_last_good_pair_and_heals()
    {
        Write("cert", TestCertificate.For("a.test", "one.test"));
        Apply(new ServiceCertificate("app", "secret:cert.pem", "secret:cert.key"));
        var next = TestCertificate.For("a.test", "two.test");
        File.WriteAllText(Path.Combine(_secrets.FullName, "cert.pem"), next.CertificatePem);
        _time.Advance(CertificateStore.WatchPeriod);
        Assert.Contains("one.test", _store.Select("a.test")!.Names);
        Assert.Contains("does not belong", _store.Status[0].Problem);
        File.Delete(Path.Combine(_secrets.FullName, "cert.key"));
        _time.Advance(CertificateStore.WatchPeriod);
        Assert.Contains("one.test", _store.Select("a.test")!.Names);
        Assert.Contains("no such secret", _store.Status[0].Problem);

        Write("cert", next);
        _time.Advance(CertificateStore.WatchPeriod);
        Assert.Contains("two.test", _store.Select("a.test")!.Names);
        Assert.Equal("", _store.Status[0].Problem);
        Assert.Equal(2, Warnings().Count);
    }

    [Fact]
    public void A_secret_that_comes_later_is_taken_up()
    {
        Apply(new ServiceCertificate("app", "secret:cert.pem", "secret:cert.key"));
        Assert.Equal(SelfSigned.Name, Shown("a.test"));
        Write("cert", TestCertificate.For("a.test"));
        _time.Advance(CertificateStore.WatchPeriod);
        Assert.Equal("a.test", Shown("a.test"));
    }

    [Fact]
    public void ACME_certificates_have_a_place_of_their_own_behind_those_of_labels()
    {
        var acme = TestCertificate.For("a.test", "acme.test").Load();
        _store.SetAcme(ImmutableDictionary<string, TlsCertificate>.Empty.Add("a.test", acme).Add("acme.test", acme));
        Assert.Same(acme, _store.Select("a.test"));
        Assert.False(_store.Covers("a.test"));
        Assert.Single(_store.Status, s => s.Source == CertificateSource.Acme);
        Apply(TestCertificate.For("a.test").In("app"));
        Assert.NotSame(acme, _store.Select("a.test"));
        Assert.Same(acme, _store.Select("acme.test"));
        Assert.True(_store.Covers("a.test"));
    }

    [Fact]
    public async Task The_self_signed_certificate_is_told_of_before_it_is_made_as_it_will_be()
    {
        var told = Assert.Single(_store.Status);
        var made = await _store.SelfSigned.GetAsync();
        Assert.Equal(made.Names, told.Names);
        Assert.Equal(made.NotAfter, told.NotAfter);
        Assert.Equal("", told.Problem);
    }

    [Fact]
    public async Task The_self_signed_certificate_is_renewed_before_it_expires()
    {
        var first = await _store.SelfSigned.GetAsync();
        Assert.True(first.IsValidAt(_time.GetUtcNow()));
        _time.Advance(first.NotAfter - _time.GetUtcNow() - TimeSpan.FromDays(29));
        var second = await _store.SelfSigned.GetAsync();
        Assert.NotSame(first, second);
        Assert.True(second.IsValidAt(_time.GetUtcNow().AddDays(300)));
        Assert.Equal(second.NotAfter, Assert.Single(_store.Status).NotAfter);
    }

    [Fact]
    public void No_key_is_ever_said()
    {
        var pair = TestCertificate.For("a.test");
        var pem = pair.KeyPem.Split('\n')[1];
        Write("cert", pair);
        Apply(pair.In("a"), pair.In("b") with { Certificate = "%" }, new("c", pair.CertificateLabel, pair.KeyPem),
            new("d", pair.KeyLabel, pair.CertificateLabel), new("e", pair.CertificateLabel, "secret:" + pair.KeyLabel),
            new("f", "secret:cert.pem", "secret:cert.key"));
        var said = string.Join('\n', _log.Entries.Select(e => e.Text)) + string.Join('\n', _store.Status) + pair.In("a");
        Assert.Contains("certificate wrong service=e", said);
        Assert.DoesNotContain(pem, said);
        for (var at = 0; at + 16 <= pair.KeyLabel.Length; at += 16) Assert.DoesNotContain(pair.KeyLabel.Substring(at, 16), said);
    }

    public void Dispose()
    {
        _store.Dispose();
        _secrets.Delete(recursive: true);
    }

    private static HostClaim Bank => new(Rules, "bank");

    private static HostClaim Shop => new(Rules, "shop");

    private static HostClaims ParseRules()
    {
        Assert.True(HostClaims.TryParse("bank=bank.test; shop=shop.test; outlet=shop.test", out var rules));
        return rules;
    }

    private static string Label(string text) => TestCertificate.Base64(text);

    private static string Wrapped(string base64) => string.Join("\r\n", base64.Chunk(76).Select(line => new string(line))) + "\n";

    private static Service App(params ImmutableArray<string> hosts) => TestProxy.Service() with { Hosts = hosts };

    private string WithoutRoot(string text) => text.Replace(_secrets.FullName, "*", StringComparison.Ordinal);

    private void Apply(params ImmutableArray<ServiceCertificate> certificates) =>
        _store.Apply(new ServiceCatalog([]) { Certificates = certificates });

    private string Shown(string host) => _store.Select(host)?.Names[0] ?? SelfSigned.Name;

    private void Write(string name, TestCertificate pair)
    {
        File.WriteAllText(Path.Combine(_secrets.FullName, name + ".pem"), pair.CertificatePem);
        File.WriteAllText(Path.Combine(_secrets.FullName, name + ".key"), pair.KeyPem);
    }

    private List<string> Warnings() => [.. _log.Entries.Where(e => e.Level >= LogLevel.Warning).Select(e => e.Text)];
}
