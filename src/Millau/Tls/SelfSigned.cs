using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Millau.Tls;

/// <summary>The certificate for names that nobody has one for: it encrypts, and proves nothing.</summary>
internal static class SelfSigned
{
    /// <summary>Time before its end at which another is made.</summary>
    public static readonly TimeSpan RenewBefore = TimeSpan.FromDays(30);

    private static readonly TimeSpan Lifetime = TimeSpan.FromDays(365);

    public static TlsCertificate Create(DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Millau default certificate", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        // A name that no request can have, as a certificate without one is refused by some before its issuer is looked at.
        names.AddDnsName("default.millau.invalid");
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], false));
        // Clocks differ.
        return new TlsCertificate(request.CreateSelfSigned(now - TimeSpan.FromDays(1), now + Lifetime));
    }
}
