using System.Collections.Immutable;
using Millau.Tls;

namespace Millau.Tests.Tls;

/// <summary>Which certificate a name gets: every rule of the order, and what comes first within one.</summary>
public class CertificateTableTests
{
    private static readonly DateTimeOffset Now = TestCertificate.Now;

    /// <summary>
    /// Certificates are written as <c>name,name</c>, with the days until they end in front; those that are routed as
    /// <c>host=certificate</c>.
    /// </summary>
    [Theory]
    // 1. Names.
    [InlineData("a.test", "90:a.test 90:b.test", "", "", "a.test")]
    [InlineData("A.Test.", "90:a.test 90:b.test", "", "", "a.test")]
    [InlineData("x.b.test", "90:a.test 90:*.b.test", "", "", "*.b.test")]
    [InlineData("b.test", "90:*.b.test", "", "", "none")]
    [InlineData("y.x.b.test", "90:*.b.test", "", "", "none")]
    [InlineData("c.test", "90:a.test,c.test", "", "", "a.test")]
    [InlineData("c.test", "90:a.test", "", "", "none")]
    [InlineData("test", "90:*.test", "", "", "none")]
    [InlineData("", "90:a.test 90:*.test", "*=90:b.test", "", "none")]
    // 1. Unexpired before expired, then the longest validity; exact and wildcard alike.
    [InlineData("a.test", "-1:a.test,old 5:a.test,new", "", "", "a.test,new")]
    [InlineData("a.test", "5:a.test,short 50:a.test,long", "", "", "a.test,long")]
    [InlineData("a.test", "50:a.test,long 5:a.test,short", "", "", "a.test,long")]
    [InlineData("x.b.test", "5:x.b.test 50:*.b.test", "", "", "*.b.test")]
    [InlineData("x.b.test", "50:x.b.test 5:*.b.test", "", "", "x.b.test")]
    [InlineData("a.test", "-5:a.test,older -1:a.test,old", "", "", "a.test,old")]
    // 2. A service that is routed for the host, when no name covers it.
    [InlineData("a.test", "", "a.test=90:other.test", "", "other.test")]
    [InlineData("www.a.test", "", "a.test=90:other.test", "", "other.test")]
    [InlineData("c.test", "", "a.test=90:other.test *=90:any.test", "", "any.test")]
    [InlineData("www.a.test", "", "a.test=90:other.test *=90:any.test", "", "other.test")]
    [InlineData("c.test", "", "a.test=90:other.test", "", "none")]
    [InlineData("a.test", "90:a.test", "a.test=90:other.test", "", "a.test")]
    [InlineData("a.test", "-1:a.test", "a.test=90:other.test", "", "a.test")]
    [InlineData("a.test", "", "a.test=-1:old.test a.test=9:new.test", "", "new.test")]
    // 3. ACME, for exactly its host.
    [InlineData("a.test", "", "", "a.test", "acme a.test")]
    [InlineData("www.a.test", "", "", "a.test", "none")]
    [InlineData("a.test", "90:a.test,label", "", "a.test", "a.test,label")]
    [InlineData("a.test", "", "a.test=90:other.test", "a.test", "other.test")]
    // 4.
    [InlineData("a.test", "", "", "", "none")]
    public void Selection(string host, string labels, string routed, string acme, string expected)
    {
        var all = Split(labels).Select(Make).ToList();
        var ofRoutes = Split(routed).Select(r => (r.Split('=')[0], Make(r.Split('=')[1]))).ToList();
        all.AddRange(ofRoutes.Select(r => r.Item2));
        var ofAcme = Split(acme).ToImmutableDictionary(h => h, h => TestCertificate.For("acme-is.invalid", h).Load());
        var table = new CertificateTable(all, ofRoutes, ofAcme);

        var selected = table.Select(CertificateStore.ToHost(host), Now);

        var text = selected is null ? "none"
            : ofAcme.ContainsValue(selected) ? "acme " + selected.Names[1]
            : string.Join(',', selected.Names);
        Assert.StartsWith(expected, text);
    }

    [Fact]
    public void What_begins_later_counts_as_not_valid()
    {
        var later = TestCertificate.For(Now.AddDays(1), Now.AddDays(900), "a.test", "later").Load();
        var valid = TestCertificate.For(Now.AddDays(-1), Now.AddDays(9), "a.test", "valid").Load();
        var table = new CertificateTable([later, valid], [], ImmutableDictionary<string, TlsCertificate>.Empty);
        Assert.Same(valid, table.Select("a.test", Now));
        Assert.Same(later, table.Select("a.test", Now.AddDays(2)));
    }

    [Fact]
    public void International_names_are_looked_up_in_their_ASCII_form()
    {
        Assert.Equal("xn--bcher-kva.test", CertificateStore.ToHost("bücher.test"));
        Assert.Equal("", CertificateStore.ToHost("bü..test"));
        Assert.Equal("a.test", CertificateStore.ToHost("A.test."));
    }

    private static string[] Split(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static TlsCertificate Make(string text)
    {
        var (days, names) = (int.Parse(text.Split(':')[0]), text.Split(':')[1].Split(','));
        return TestCertificate.For(Now.AddDays(-60), Now.AddDays(days), names).Load();
    }
}
