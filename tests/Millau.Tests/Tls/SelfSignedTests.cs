using Millau.Tls;

namespace Millau.Tests.Tls;

public class SelfSignedTests
{
    [Fact]
    public async Task The_certificate_has_the_name_and_to_the_second_the_time_that_were_settled()
    {
        var certificate = new SelfSigned(TestCertificate.Now.AddMilliseconds(700));
        var made = await certificate.GetAsync();
        Assert.Equal([SelfSigned.Name], made.Names);
        Assert.Equal(TestCertificate.Now.AddDays(365), certificate.NotAfter);
        Assert.Equal(certificate.NotAfter, made.NotAfter);
        Assert.Equal(TestCertificate.Now.AddDays(-1), made.NotBefore);
        Assert.Same(made, await certificate.GetAsync());
    }
}
