using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Millau.Discovery;
using Millau.Tls;

namespace Millau.Tests.Tls;

/// <summary>Certificates made for a test, as PEM and as labels have them.</summary>
internal sealed record TestCertificate(string CertificatePem, string KeyPem)
{
    public static readonly DateTimeOffset Now = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);

    public string CertificateLabel => Base64(CertificatePem);

    public string KeyLabel => Base64(KeyPem);

    /// <summary>Self-signed, ECDSA P-256.</summary>
    /// <param name="names">Alternative names; none makes a certificate with a common name only.</param>
    public static TestCertificate For(params string[] names) => For(Now.AddDays(-1), Now.AddDays(90), names);

    public static TestCertificate For(DateTimeOffset from, DateTimeOffset to, params string[] names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Request(key, "ignored.test", names).CreateSelfSigned(from, to);
        return new(certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>Valid by the real clock, for handshakes with a real client.</summary>
    public static TestCertificate ForToday(params string[] names) =>
        For(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(90), names);

    public static CertificateRequest Request(ECDsa key, string commonName, params string[] names) =>
        WithNames(new CertificateRequest("CN=" + commonName, key, HashAlgorithmName.SHA256), names);

    public static CertificateRequest Request(RSA key, string commonName, params string[] names) =>
        WithNames(new CertificateRequest("CN=" + commonName, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1), names);

    public TlsCertificate Load()
    {
        Assert.True(PemPair.TryLoad(CertificatePem, KeyPem, out var certificate, out var problem), problem);
        return certificate!;
    }

    public ServiceCertificate In(string service) => new(service, CertificateLabel, KeyLabel);

    public static string Base64(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));

    private static CertificateRequest WithNames(CertificateRequest request, string[] names)
    {
        if (names.Length == 0) return request;
        var builder = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
        {
            if (IPAddress.TryParse(name, out var address)) builder.AddIpAddress(address);
            else builder.AddDnsName(name);
        }
        request.CertificateExtensions.Add(builder.Build());
        return request;
    }
}
