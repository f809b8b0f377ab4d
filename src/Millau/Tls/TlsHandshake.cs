using System.Net.Security;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Millau.Tls;

/// <summary>
/// Decides each handshake, by the name that the client asks for.
/// <list type="number">
/// <item>A challenge of an ACME server: only on connections that offer <c>acme-tls/1</c>.</item>
/// <item>The certificate.</item>
/// <item>Whether the client is to show one.</item>
/// </list>
/// What the parts answer is made beforehand and shared, so that a handshake allocates nothing here.
/// </summary>
internal sealed class TlsHandshake(CertificateStore certificates)
{
    /// <summary>What step 1 answers with.</summary>
    public AlpnChallenges Challenges { get; } = new();

    /// <summary>
    /// Step 3: the options for a host that asks its clients for a certificate, with the server's own that was chosen for
    /// it; null for any other host. Set before the listener starts.
    /// </summary>
    public Func<string, TlsCertificate, BaseConnectionContext, SslServerAuthenticationOptions?>? ClientCertificates { get; set; }

    public SslServerAuthenticationOptions Choose(TlsHandshakeCallbackContext handshake)
    {
        var host = CertificateStore.ToHost(handshake.ClientHelloInfo.ServerName);
        // 1.
        if (!Challenges.IsEmpty && handshake.Connection.Features.Get<AcmeTlsOffer>() is not null
            && Challenges.Find(host) is { } answer)
        {
            return answer;
        }
        // 2.
        var certificate = certificates.Select(host);
        // 3.
        return ClientCertificates?.Invoke(host, certificate, handshake.Connection) ?? certificate.Options;
    }
}
