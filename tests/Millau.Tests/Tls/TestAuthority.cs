using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Millau.Tests.Tls;

/// <summary>A CA of a test, with the real clock; ECDSA P-256.</summary>
internal sealed class TestAuthority
{
    public const string ForServers = "1.3.6.1.5.5.7.3.1";
    public const string ForClients = "1.3.6.1.5.5.7.3.2";

    private readonly X509Certificate2 _certificate;

    public TestAuthority(string name, TestAuthority? issuer = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = TestCertificate.Request(key, name);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        var (from, to) = (DateTimeOffset.UtcNow.AddYears(-2), DateTimeOffset.UtcNow.AddYears(2));
        using var signed = issuer is null ? request.CreateSelfSigned(from, to)
            : request.Create(issuer._certificate, from.AddDays(1), to.AddDays(-1), RandomNumberGenerator.GetBytes(8));
        _certificate = signed.HasPrivateKey ? new X509Certificate2(signed) : signed.CopyWithPrivateKey(key);
    }

    public string Pem => _certificate.ExportCertificatePem();

    public Millau.Tls.CertificateAuthority Load() => new([X509Certificate2.CreateFromPem(Pem)]);

    /// <summary>As a label has it.</summary>
    public string Label => TestCertificate.Base64(Pem);

    /// <summary>A certificate for one day on either side of now, or of another day.</summary>
    /// <param name="usage">Extended key usage; null for none.</param>
    /// <param name="days">When it is in the middle of its life, in days from now.</param>
    /// <param name="names">Alternative names; the first is the common name too.</param>
    public TestCertificate Issue(string? usage, int days, params string[] names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = TestCertificate.Request(key, names[0], names);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        if (usage is not null) request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));
        var middle = DateTimeOffset.UtcNow.AddDays(days);
        using var certificate = request.Create(_certificate, middle.AddDays(-1), middle.AddDays(1), RandomNumberGenerator.GetBytes(8));
        return new(certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    public TestCertificate ForServer(params string[] names) => Issue(ForServers, 0, names);
}
