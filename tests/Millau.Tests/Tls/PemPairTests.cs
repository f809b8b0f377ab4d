using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Millau.Tls;

namespace Millau.Tests.Tls;

/// <summary>Which certificates and keys are understood, and what is said of those that are not.</summary>
public class PemPairTests
{
    private static readonly DateTimeOffset From = TestCertificate.Now.AddDays(-1), To = TestCertificate.Now.AddDays(90);

    [Theory]
    [InlineData("PKCS#8")]
    [InlineData("PKCS#1")]
    public void RSA(string format)
    {
        using var key = System.Security.Cryptography.RSA.Create(2048);
        using var certificate = TestCertificate.Request(key, "a.test").CreateSelfSigned(From, To);
        Good(certificate.ExportCertificatePem(), format == "PKCS#1" ? key.ExportRSAPrivateKeyPem() : key.ExportPkcs8PrivateKeyPem());
    }

    [Theory]
    [InlineData("PKCS#8", "nistP256")]
    [InlineData("SEC1", "nistP256")]
    [InlineData("SEC1", "nistP384")]
    [InlineData("SEC1 with parameters", "nistP256")]
    public void ECDSA(string format, string curve)
    {
        using var key = ECDsa.Create(ECCurve.CreateFromFriendlyName(curve));
        using var certificate = TestCertificate.Request(key, "a.test").CreateSelfSigned(From, To);
        // As `openssl ecparam -genkey` writes it.
        const string parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        Good(certificate.ExportCertificatePem(), format switch
        {
            "PKCS#8" => key.ExportPkcs8PrivateKeyPem(),
            "SEC1" => key.ExportECPrivateKeyPem(),
            _ => parameters + key.ExportECPrivateKeyPem(),
        });
    }

    [Fact]
    public void A_key_on_an_unknown_curve_is_a_key_that_cannot_be_read()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = TestCertificate.Request(key, "a.test").CreateSelfSigned(From, To);
        var der = key.ExportPkcs8PrivateKey();
        // The last byte of prime256v1's object identifier, 1.2.840.10045.3.1.7.
        der[der.AsSpan().IndexOf(new byte[] { 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07 }) + 7] = 0x7F;

        Assert.False(PemPair.TryLoad(
            certificate.ExportCertificatePem(), PemEncoding.WriteString("PRIVATE KEY", der), out _, out var problem));
        Assert.StartsWith("the key cannot be read", problem);
    }

    [Fact]
    public void A_chain_is_shown_in_its_order_and_without_its_root_and_strangers()
    {
        using var rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var middleKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var leafKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var root = Authority(rootKey, "root").CreateSelfSigned(From, To);
        using var middle = Authority(middleKey, "middle").Create(root.SubjectName,
            X509SignatureGenerator.CreateForECDsa(rootKey), From, To, [1]);
        using var leaf = TestCertificate.Request(leafKey, "leaf", "a.test").Create(middle.SubjectName,
            X509SignatureGenerator.CreateForECDsa(middleKey), From, To, [2]);
        using var stranger = TestCertificate.Request(rootKey, "stranger").CreateSelfSigned(From, To);

        var loaded = Good(
            leaf.ExportCertificatePem() + "\n" + stranger.ExportCertificatePem() + "\n" + middle.ExportCertificatePem() + "\n"
            + root.ExportCertificatePem(),
            leafKey.ExportPkcs8PrivateKeyPem());

        Assert.Equal("CN=leaf", loaded.Leaf.Subject);
        Assert.Equal(["CN=middle"], loaded.Context.IntermediateCertificates.Select(c => c.Subject));
    }

    [Fact]
    public void Certificate_and_key_may_be_in_one_file_with_text_around_and_foreign_line_ends()
    {
        var pair = TestCertificate.For("a.test");
        var file = "Subject: a.test\r\n" + (pair.CertificatePem + "\n\nthe key:\n" + pair.KeyPem).ReplaceLineEndings("\r\n") + "\r\n";
        Good(file, file);
    }

    [Fact]
    public void The_key_of_another_certificate()
    {
        using var rsa = System.Security.Cryptography.RSA.Create(2048);
        using var ofRsa = TestCertificate.Request(rsa, "a.test").CreateSelfSigned(From, To);
        var other = TestCertificate.For("b.test");
        Assert.Contains("does not belong to the certificate", Problem(TestCertificate.For("a.test").CertificatePem, other.KeyPem));
        using var otherRsa = System.Security.Cryptography.RSA.Create(2048);
        Assert.Contains("does not belong to the certificate", Problem(ofRsa.ExportCertificatePem(), otherRsa.ExportPkcs8PrivateKeyPem()));
        Assert.Matches("does not belong|another kind", Problem(ofRsa.ExportCertificatePem(), other.KeyPem));
        Assert.Matches("does not belong|another kind", Problem(other.CertificatePem, rsa.ExportRSAPrivateKeyPem()));
    }

    [Fact]
    public void What_is_no_PEM_is_said_to_be_none_without_its_contents()
    {
        var good = TestCertificate.For("a.test");
        Assert.Contains("no CERTIFICATE block", Problem("secret-words", good.KeyPem));
        Assert.Contains("no CERTIFICATE block", Problem(good.KeyPem, good.KeyPem));
        Assert.Contains("no PRIVATE KEY", Problem(good.CertificatePem, "secret-words"));
        Assert.Contains("no PRIVATE KEY", Problem(good.CertificatePem, good.CertificatePem));
        Assert.Contains("is broken", Problem(
            "-----BEGIN CERTIFICATE-----\nc2VjcmV0LXdvcmRz\n-----END CERTIFICATE-----\n", good.KeyPem));
        Assert.Contains("is broken", Problem(
            good.CertificatePem, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LXdvcmRz\n-----END PRIVATE KEY-----\n"));
    }

    [Fact]
    public void An_encrypted_key_is_called_one()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = TestCertificate.Request(key, "a.test").CreateSelfSigned(From, To);
        var encrypted = key.ExportEncryptedPkcs8PrivateKeyPem("pass", new(PbeEncryptionAlgorithm.Aes128Cbc, HashAlgorithmName.SHA256, 1000));
        Assert.Contains("is encrypted", Problem(certificate.ExportCertificatePem(), encrypted));
        const string old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n";
        Assert.Contains("is encrypted", Problem(certificate.ExportCertificatePem(), old));
    }

    [Fact]
    public void Other_kinds_of_certificates_are_named_as_not_supported()
    {
        // openssl req -x509 -newkey ed25519 -nodes -subj /CN=a.test -days 36500
        const string ed25519 = """
            -----BEGIN CERTIFICATE-----
            MIIBODCB66ADAgECAhQI1YvI2PhwVkJx/NZFlVhUhvtjZzAFBgMrZXAwETEPMA0G
            A1UEAwwGYS50ZXN0MCAXDTI2MTEyMzE5MjQzN1oYDzIxMjYxMDMwMTkyNDM3WjAR
            MQ8wDQYDVQQDDAZhLnRlc3QwKjAFBgMrZXADIQDgHLNPS609Vz/2abknlkdXq6J1
            6LscS8uFmQjeoH94d6NTMFEwHQYDVR0OBBYEFBoLlNFYKMPJ8raOzw9CgFRQnmok
            MB8GA1UdIwQYMBaAFBoLlNFYKMPJ8raOzw9CgFRQnmokMA8GA1UdEwEB/wQFMAMB
            Af8wBQYDK2VwA0EAGnRtLkCGjEw/iYexIa5uiOVlsgGx5xELJIfurZs61tbb/Em/
            FrSNasOXeFPQ5wqiZdlh8eIT1denJ2xh8YeCAQ==
            -----END CERTIFICATE-----
            """;
        Assert.Contains("neither RSA nor ECDSA", Problem(ed25519, TestCertificate.For("a.test").KeyPem));
    }

    private static CertificateRequest Authority(ECDsa key, string name)
    {
        var request = TestCertificate.Request(key, name);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        return request;
    }

    private static TlsCertificate Good(string certificate, string key)
    {
        Assert.True(PemPair.TryLoad(certificate, key, out var loaded, out var problem), problem);
        Assert.True(loaded!.Leaf.HasPrivateKey);
        Assert.Equal("", problem);
        return loaded;
    }

    private static string Problem(string certificate, string key)
    {
        Assert.False(PemPair.TryLoad(certificate, key, out var loaded, out var problem));
        Assert.Null(loaded);
        Assert.DoesNotContain("secret-words", problem, StringComparison.Ordinal);
        return problem;
    }
}
