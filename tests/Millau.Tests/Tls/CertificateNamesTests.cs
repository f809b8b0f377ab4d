using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Millau.Tls;

namespace Millau.Tests.Tls;

public class CertificateNamesTests
{
    [Theory]
    [InlineData("a.test", "a.test", true)]
    [InlineData("a.test", "b.test", false)]
    [InlineData("a.test", "x.a.test", false)]
    [InlineData("*.a.test", "x.a.test", true)]
    [InlineData("*.a.test", "a.test", false)]
    [InlineData("*.a.test", "x.y.a.test", false)]
    [InlineData("*.a.test", ".a.test", false)]
    [InlineData("*", "a", false)]
    [InlineData("x*.a.test", "xy.a.test", false)]
    public void Names_cover_hosts(string name, string host, bool covers) =>
        Assert.Equal(covers, CertificateNames.Cover([name], host));

    [Fact]
    public void Alternative_names_count_and_the_common_name_only_without_them()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var with = TestCertificate.Request(key, "common.test", "A.test", "*.B.test", "10.0.0.1", "a.test")
            .CreateSelfSigned(TestCertificate.Now, TestCertificate.Now.AddDays(1));
        Assert.Equal(["a.test", "*.b.test", "10.0.0.1"], CertificateNames.Read(with));
        using var without = TestCertificate.Request(key, "Common.test").CreateSelfSigned(TestCertificate.Now, TestCertificate.Now.AddDays(1));
        Assert.Equal(["common.test"], CertificateNames.Read(without));
    }

    [Fact]
    public void A_broken_extension_covers_nothing_and_harms_nothing()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = TestCertificate.Request(key, "common.test");
        request.CertificateExtensions.Add(new X509Extension("2.5.29.17", [0x30, 0x05, 0x82, 0x40, 1, 2, 3], false));
        using var broken = request.CreateSelfSigned(TestCertificate.Now, TestCertificate.Now.AddDays(1));
        Assert.Equal(["common.test"], CertificateNames.Read(broken));
    }
}
