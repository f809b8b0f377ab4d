using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Millau.Tls;

/// <summary>
/// Makes a certificate of PEM (RFC 7468): the leaf, then its chain; and its key in PKCS#8, PKCS#1 (RSA) or SEC1 (ECDSA).
/// What is wrong is said in words that hold nothing of the key.
/// </summary>
internal static class PemPair
{
    /// <param name="certificatePem">Other blocks, such as keys and parameters, are passed over.</param>
    /// <param name="keyPem">The first key counts.</param>
    /// <param name="certificate">Null if there is a problem.</param>
    /// <param name="problem">For people; else empty.</param>
    public static bool TryLoad(string certificatePem, string keyPem, out TlsCertificate? certificate, out string problem)
    {
        certificate = null;
        var chain = new X509Certificate2Collection();
        try
        {
            chain.ImportFromPem(certificatePem);
        }
        catch (Exception e) when (e is CryptographicException or PlatformNotSupportedException)
        {
            problem = "the certificate cannot be read: a CERTIFICATE block of the PEM is broken";
            return false;
        }
        if (chain.Count == 0)
        {
            problem = "the certificate is not PEM: it has no CERTIFICATE block";
            return false;
        }
        if (FindKey(keyPem, out problem) is not { } block) return false;
        try
        {
            if (Join(chain[0], keyPem.AsSpan()[block]) is not { } leaf)
            {
                problem = "the certificate's key is neither RSA nor ECDSA";
                return false;
            }
            chain.RemoveAt(0);
            certificate = new TlsCertificate(leaf, chain);
            return true;
        }
        catch (ArgumentException)
        {
            // The key is well formed, but another kind of key or of another certificate.
            problem = "the key does not belong to the certificate (the first, if there are several)";
        }
        catch (Exception e) when (e is CryptographicException or PlatformNotSupportedException)
        {
            problem = "the key cannot be read: its PEM block is broken, or of another kind than the certificate's";
        }
        return false;
    }

    private static X509Certificate2? Join(X509Certificate2 certificate, ReadOnlySpan<char> key)
    {
        if (certificate.GetRSAPublicKey() is { } rsaPublic)
        {
            rsaPublic.Dispose();
            using var rsa = RSA.Create();
            rsa.ImportFromPem(key);
            return certificate.CopyWithPrivateKey(rsa);
        }
        if (certificate.GetECDsaPublicKey() is { } ecPublic)
        {
            ecPublic.Dispose();
            using var ec = ECDsa.Create();
            ec.ImportFromPem(key);
            return certificate.CopyWithPrivateKey(ec);
        }
        return null;
    }

    private static Range? FindKey(string pem, out string problem)
    {
        var at = 0;
        while (PemEncoding.TryFind(pem.AsSpan(at), out var fields))
        {
            var label = pem.AsSpan(at)[fields.Label];
            if (label is "PRIVATE KEY" or "RSA PRIVATE KEY" or "EC PRIVATE KEY")
            {
                var (offset, length) = fields.Location.GetOffsetAndLength(pem.Length - at);
                var block = pem.AsSpan(at + offset, length);
                if (block.Contains("\nProc-Type:", StringComparison.Ordinal)) break;
                problem = "";
                return (at + offset)..(at + offset + length);
            }
            if (label is "ENCRYPTED PRIVATE KEY")
            {
                problem = "the key is encrypted; one without a passphrase is needed";
                return null;
            }
            at += fields.Location.End.GetOffset(pem.Length - at);
        }
        problem = pem.Contains("Proc-Type: 4,ENCRYPTED", StringComparison.Ordinal)
            ? "the key is encrypted; one without a passphrase is needed"
            : "the key is not PEM: it has no PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY block";
        return null;
    }
}
