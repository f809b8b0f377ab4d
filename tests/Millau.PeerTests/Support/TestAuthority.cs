using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Millau.PeerTests.Support;

/// <summary>A certificate authority of a test, so that real clients verify what they are shown.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("millau-ca-");
    private int _serial;

    public TestAuthority()
    {
        var request = new CertificateRequest("CN=Test authority", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        Root = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));
        FilePath = Path.Combine(_directory.FullName, "ca.pem");
        File.WriteAllText(FilePath, Root.ExportCertificatePem());
    }

    public X509Certificate2 Root { get; }

    /// <summary>Its certificate, as curl and openssl want it.</summary>
    public string FilePath { get; }

    /// <summary>The labels of a certificate for these names; the first one is also its common name.</summary>
    public (string Name, string Value)[] Labels(params string[] names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + names[0], key, HashAlgorithmName.SHA256);
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var name in names) alternatives.AddDnsName(name);
        request.CertificateExtensions.Add(alternatives.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], false));
        var serial = BitConverter.GetBytes(Interlocked.Increment(ref _serial));
        using var certificate = request.Create(
            Root, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(20), [1, .. serial]);
        return
        [
            ("millau.cert", Base64(certificate.ExportCertificatePem())),
            ("millau.key", Base64(key.ExportPkcs8PrivateKeyPem())),
        ];
    }

    public void Dispose()
    {
        Root.Dispose();
        _key.Dispose();
        _directory.Delete(recursive: true);
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));
}
