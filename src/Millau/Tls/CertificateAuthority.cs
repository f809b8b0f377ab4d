using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Millau.Tls;

/// <summary>
/// The roots that certificates of one kind must come from, and the intermediates that may stand between. Immutable.
/// </summary>
internal sealed class CertificateAuthority
{
    /// <summary>Extended key usages (RFC 5280 section 4.2.1.12).</summary>
    public static readonly Oid ServerAuthentication = new("1.3.6.1.5.5.7.3.1");

    /// <inheritdoc cref="ServerAuthentication"/>
    public static readonly Oid ClientAuthentication = new("1.3.6.1.5.5.7.3.2");

    private readonly X509Certificate2Collection _roots = [];
    private readonly X509Certificate2Collection _intermediates = [];

    /// <param name="certificates">At least one of them self-issued: a chain must end somewhere.</param>
    public CertificateAuthority(X509Certificate2Collection certificates)
    {
        foreach (var certificate in certificates)
            (IsRoot(certificate) ? _roots : _intermediates).Add(certificate);
    }

    /// <summary>The subjects of the roots, which a server names when it asks for a certificate.</summary>
    public X509Certificate2Collection Roots => _roots;

    /// <summary>Trusts what one of them trusts.</summary>
    public static CertificateAuthority Union(IEnumerable<CertificateAuthority> authorities)
    {
        var all = new X509Certificate2Collection();
        foreach (var authority in authorities)
        {
            all.AddRange(authority._roots);
            all.AddRange(authority._intermediates);
        }
        return new CertificateAuthority(all);
    }

    /// <summary>A chain can end with it.</summary>
    public static bool IsRoot(X509Certificate2 certificate) =>
        certificate.SubjectName.RawData.AsSpan().SequenceEqual(certificate.IssuerName.RawData);

    /// <summary>For people: the subjects of the roots.</summary>
    public override string ToString() => string.Join(" | ", _roots.Select(r => CertificateWords.Show(r.Subject)));

    /// <summary>
    /// How a chain is built and judged. Nothing is fetched, neither intermediates nor revocation lists: a handshake
    /// waits for nobody, and a certificate cannot make Millau call an address.
    /// </summary>
    /// <param name="authority">Null for the system's roots.</param>
    /// <param name="usage">What the certificate must be for, if it says what it is for.</param>
    public static X509ChainPolicy Policy(CertificateAuthority? authority, Oid usage)
    {
        var policy = new X509ChainPolicy
        {
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.ApplicationPolicy.Add(usage);
        if (authority is null) return policy;
        policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        policy.CustomTrustStore.AddRange(authority._roots);
        policy.ExtraStore.AddRange(authority._intermediates);
        return policy;
    }
}
