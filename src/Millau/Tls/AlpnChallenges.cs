using System.Collections.Immutable;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Millau.Tls;

/// <summary>
/// The challenges of an ACME server that are to be answered in the handshake (TLS-ALPN-01, RFC 8737): a certificate by
/// host, for connections that offer <c>acme-tls/1</c>. Empty nearly always. Thread-safe.
/// </summary>
internal sealed class AlpnChallenges
{
    public static readonly SslApplicationProtocol Protocol = new("acme-tls/1");

    private ImmutableDictionary<string, SslServerAuthenticationOptions> _byHost =
        ImmutableDictionary<string, SslServerAuthenticationOptions>.Empty;

    public bool IsEmpty => Volatile.Read(ref _byHost).IsEmpty;

    /// <param name="host">In the form of <see cref="Routing.HostName.Normalize"/>.</param>
    /// <param name="certificate">With its key; to be kept by the caller until the challenge is removed, and not disposed after.</param>
    public void Set(string host, X509Certificate2 certificate)
    {
        var options = TlsCertificate.OptionsFor(SslStreamCertificateContext.Create(certificate, null, offline: true));
        options.ApplicationProtocols = [Protocol];
        ImmutableInterlocked.AddOrUpdate(ref _byHost, host, options, (_, _) => options);
    }

    public void Remove(string host) => ImmutableInterlocked.TryRemove(ref _byHost, host, out _);

    public SslServerAuthenticationOptions? Find(string host) => Volatile.Read(ref _byHost).GetValueOrDefault(host);
}

/// <summary>A feature of connections whose client offers the protocol <c>acme-tls/1</c>.</summary>
internal sealed class AcmeTlsOffer
{
    public static readonly AcmeTlsOffer Instance = new();
}
