using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Millau.Async;

namespace Millau.Tls;

/// <summary>
/// The certificate for names that nobody has one for: it encrypts, and proves nothing. Its name and its time are settled from the
/// beginning; it is made when a handshake asks for it, because without TLS OpenSSL is not needed, and not loaded. Thread-safe.
/// </summary>
internal sealed class SelfSigned
{
    /// <summary>A name that no request can have, as a certificate without one is refused by some before its issuer is looked at.</summary>
    public const string Name = "default.millau.invalid";

    /// <summary>Time before its end at which another takes its place.</summary>
    public static readonly TimeSpan RenewBefore = TimeSpan.FromDays(30);

    private static readonly TimeSpan Lifetime = TimeSpan.FromDays(365);

    private readonly DateTimeOffset _notBefore;
    private readonly OnDemand<TlsCertificate> _certificate;

    /// <param name="now">When its time begins.</param>
    public SelfSigned(DateTimeOffset now)
    {
        // In whole seconds, as certificates have it.
        var start = DateTimeOffset.FromUnixTimeSeconds(now.ToUnixTimeSeconds());
        // Clocks differ.
        _notBefore = start - TimeSpan.FromDays(1);
        NotAfter = start + Lifetime;
        _certificate = new OnDemand<TlsCertificate>(Make);
    }

    public DateTimeOffset NotAfter { get; }

    /// <inheritdoc cref="OnDemand{T}.GetAsync"/>
    public Task<TlsCertificate> GetAsync() => _certificate.GetAsync();

    private TlsCertificate Make()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Millau default certificate", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(Name);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], false));
        return new TlsCertificate(request.CreateSelfSigned(_notBefore, NotAfter));
    }
}
