using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Millau.Bench;

internal enum CertificateKind
{
    Ecdsa,
    Rsa,
}

/// <summary>The certificate that all proxies show: the same one, so that handshakes cost each of them the same in OpenSSL.</summary>
internal sealed record BenchCertificate(string Certificate, string Key)
{
    /// <summary>A name, since an address is no server name (RFC 6066 section 3).</summary>
    public const string Host = "localhost";

    public static BenchCertificate Create(CertificateKind kind)
    {
        using var rsa = RSA.Create(2048);
        using var ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = kind == CertificateKind.Rsa
            ? new CertificateRequest("CN=" + Host, rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new CertificateRequest("CN=" + Host, ecdsa, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(Host);
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));
        return new(certificate.ExportCertificatePem() + "\n",
            (kind == CertificateKind.Rsa ? rsa.ExportPkcs8PrivateKeyPem() : ecdsa.ExportPkcs8PrivateKeyPem()) + "\n");
    }

    /// <summary>Writes <c>cert.pem</c>, <c>key.pem</c>, and both in <c>pair.pem</c>.</summary>
    public void WriteTo(string directory)
    {
        File.WriteAllText(Path.Combine(directory, "cert.pem"), Certificate);
        File.WriteAllText(Path.Combine(directory, "key.pem"), Key);
        File.WriteAllText(Path.Combine(directory, "pair.pem"), Certificate + Key);
    }
}
