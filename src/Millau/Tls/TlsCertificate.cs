using System.Collections.Immutable;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Millau.Routing;

namespace Millau.Tls;

/// <summary>
/// A certificate with its key and chain, ready for handshakes: what they need is made once, not for each. Immutable and
/// never disposed: a handshake may hold it longer than any table does, so its native parts end with the last reference.
/// </summary>
internal sealed class TlsCertificate
{
    private static readonly List<SslApplicationProtocol> Protocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];

    /// <param name="leaf">With its private key. Owned from here on.</param>
    /// <param name="chain">What leads from the leaf to its root; certificates that are no part of it are left out.</param>
    /// <exception cref="CryptographicException">The chain cannot be used.</exception>
    public TlsCertificate(X509Certificate2 leaf, X509Certificate2Collection? chain = null)
    {
        Leaf = leaf;
        Names = CertificateNames.Read(leaf);
        NotBefore = leaf.NotBefore.ToUniversalTime();
        NotAfter = leaf.NotAfter.ToUniversalTime();
        // Offline: a handshake, and a change of labels, must not wait for somebody's web server.
        Options = OptionsFor(SslStreamCertificateContext.Create(leaf, chain, offline: true));
    }

    public X509Certificate2 Leaf { get; }

    /// <summary>Names that it covers, in lower case; a wildcard as <c>*.example.com</c>.</summary>
    public ImmutableArray<string> Names { get; }

    public DateTimeOffset NotBefore { get; }

    public DateTimeOffset NotAfter { get; }

    /// <summary>The leaf with its chain.</summary>
    public SslStreamCertificateContext Context => Options.ServerCertificateContext!;

    /// <summary>For a handshake that asks the client for no certificate. Shared by all of them: not to be changed.</summary>
    public SslServerAuthenticationOptions Options { get; }

    /// <summary>Whether it is neither expired nor still to come.</summary>
    public bool IsValidAt(DateTimeOffset now) => NotBefore <= now && now <= NotAfter;

    /// <summary>Whether its names cover a host. A wildcard stands for one label (RFC 6125 section 6.4.3).</summary>
    /// <param name="host">In the form of <see cref="HostName.Normalize"/>.</param>
    public bool Covers(string host) => CertificateNames.Cover(Names, host);

    /// <summary>The options of Millau's handshakes for a certificate.</summary>
    public static SslServerAuthenticationOptions OptionsFor(SslStreamCertificateContext context) => new()
    {
        ServerCertificateContext = context,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ApplicationProtocols = Protocols,
        AllowRenegotiation = false,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
    };

    /// <summary>For people: SHA-256 of the certificate, never anything of the key.</summary>
    public override string ToString() => $"{string.Join(',', Names)} {Leaf.GetCertHashString(HashAlgorithmName.SHA256)[..16]}";
}
