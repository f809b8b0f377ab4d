using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Millau.Tls;

/// <summary>Why a certificate is not accepted, in the words of somebody who has to mend it.</summary>
internal static class CertificateWords
{
    /// <summary>Null when nothing is wrong.</summary>
    /// <param name="certificate">What the other side showed; null if nothing.</param>
    /// <param name="chain">As it was built.</param>
    /// <param name="errors">What the platform found.</param>
    /// <param name="name">The name it should cover.</param>
    public static string? Describe(X509Certificate2? certificate, X509Chain? chain, SslPolicyErrors errors, string name)
    {
        if (errors == SslPolicyErrors.None) return null;
        if (certificate is null || errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable)) return "no certificate";
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors) && chain is not null)
            return Describe(chain, certificate);
        return $"certificate is not for {name} but for {Names(certificate)}";
    }

    /// <summary>What is wrong with a chain that was found to be wrong; the first thing that explains the rest.</summary>
    public static string Describe(X509Chain chain, X509Certificate2 certificate)
    {
        for (var i = 0; i < chain.ChainElements.Count; i++)
        {
            var element = chain.ChainElements[i];
            if (Has(element.ChainElementStatus, X509ChainStatusFlags.NotTimeValid))
                return Validity(element.Certificate, chain.ChainPolicy.VerificationTime.ToLocalTime(),
                    i == 0 ? "certificate" : $"certificate of its issuer {Show(element.Certificate.Subject)}");
        }
        if (Has(chain.ChainStatus, X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain))
            return CertificateAuthority.IsRoot(certificate)
                ? $"certificate is self-signed and not trusted: {Show(certificate.Subject)}"
                : $"certificate comes from a CA that is not trusted: {Show(certificate.Issuer)}";
        if (Has(chain.ChainStatus, X509ChainStatusFlags.NotValidForUsage))
            return "certificate is for another use (extended key usage)";
        if (Has(chain.ChainStatus, X509ChainStatusFlags.NotSignatureValid))
            return "certificate has a wrong signature";
        var first = chain.ChainStatus.FirstOrDefault(s => s.Status != X509ChainStatusFlags.NoError);
        return $"certificate is not valid: {first.Status}";
    }

    private static string Validity(X509Certificate2 certificate, DateTime now, string what)
    {
        var isEarly = now < certificate.NotBefore;
        var when = (isEarly ? certificate.NotBefore : certificate.NotAfter).ToUniversalTime();
        return string.Create(CultureInfo.InvariantCulture,
            $"{what} {(isEarly ? "is not valid before" : "expired at")} {when:yyyy-MM-dd HH:mm:ss}Z");
    }

    private static string Names(X509Certificate2 certificate)
    {
        var names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>()
            .SelectMany(e => e.EnumerateDnsNames().Concat(e.EnumerateIPAddresses().Select(a => a.ToString()))).ToList();
        return names.Count == 0 ? Show(certificate.Subject) : Show(string.Join(", ", names));
    }

    /// <summary>What comes from outside: no more of it than fits a line, and nothing that could break one.</summary>
    public static string Show(string text)
    {
        var clean = string.Create(Math.Min(text.Length, 200), text, static (span, source) =>
        {
            for (var i = 0; i < span.Length; i++) span[i] = char.IsControl(source[i]) || source[i] == '"' ? '?' : source[i];
        });
        return clean.Length == 0 ? "(nobody)" : clean;
    }

    private static bool Has(X509ChainStatus[] status, X509ChainStatusFlags flags) =>
        status.Any(s => (s.Status & flags) != 0);
}
