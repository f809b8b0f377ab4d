using System.Security.Cryptography.X509Certificates;
using Millau.Tls;

namespace Millau.Tests.Tls;

/// <summary>A client's certificate, asked for again and again while its connection lasts.</summary>
public class ClientCertificateTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;

    [Fact]
    public void It_is_valid_until_it_expires()
    {
        var authority = new TestAuthority("CA").Load();
        var ca = new TestAuthority("CA");
        var certificate = Of(ca.Issue(TestAuthority.ForClients, 0, "alice"));
        var current = ca.Load();

        Assert.Null(certificate.ProblemFor(current, Now));
        Assert.Null(certificate.ProblemFor(current, Now.AddHours(23)));
        Assert.StartsWith("certificate expired at ", certificate.ProblemFor(current, Now.AddHours(25)));
        Assert.StartsWith("certificate expired at ", certificate.ProblemFor(current, Now.AddHours(25)));
        // One of the same name, and of another key.
        Assert.NotNull(certificate.ProblemFor(authority, Now));
    }

    [Fact]
    public void Its_intermediate_s_end_is_its_own()
    {
        var ca = new TestAuthority("CA");
        var between = new TestAuthority("between", ca);
        var certificate = Of(between.Issue(TestAuthority.ForClients, 0, "alice"), between.Pem);

        Assert.Null(certificate.ProblemFor(ca.Load(), Now));
        Assert.StartsWith("certificate comes from a CA that is not trusted", Of(between.Issue(TestAuthority.ForClients, 0, "alice")).ProblemFor(ca.Load(), Now));
    }

    [Fact]
    public void Each_CA_has_its_own_verdict_however_many_there_are()
    {
        var ca = new TestAuthority("CA");
        var certificate = Of(ca.Issue(TestAuthority.ForClients, 0, "alice"));
        var others = Enumerable.Range(0, 12).Select(i => new TestAuthority($"other {i}").Load()).ToList();
        var current = ca.Load();
        for (var round = 0; round < 2; round++)
        {
            Assert.Null(certificate.ProblemFor(current, Now));
            Assert.All(others, other => Assert.NotNull(certificate.ProblemFor(other, Now)));
        }
    }

    [Fact]
    public void The_header_holds_the_certificate_between_colons()
    {
        var certificate = new TestAuthority("CA").Issue(null, 0, "alice");
        using var expected = X509Certificate2.CreateFromPem(certificate.CertificatePem);
        Assert.Equal($":{Convert.ToBase64String(expected.RawData)}:", Of(certificate).HeaderValue);
    }

    private static ClientCertificate Of(TestCertificate certificate, params string[] others) => new(
        X509Certificate2.CreateFromPem(certificate.CertificatePem), [.. others.Select(o => X509Certificate2.CreateFromPem(o))]);
}
