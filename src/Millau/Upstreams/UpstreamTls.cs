using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Millau.Tls;

namespace Millau.Upstreams;

/// <summary>
/// How TLS is spoken to the instances of a service. Immutable; another one means other connections. Sessions are resumed
/// by SslStream, by server name and own certificate; the instance's certificate is judged again each time.
/// </summary>
/// <param name="serverName">Asked for by SNI, and the name that the instance's certificate must cover.</param>
/// <param name="authority">The only roots to trust; null for the system's.</param>
/// <param name="certificate">Shown to an instance that asks for one; null if there is none to show.</param>
internal sealed class UpstreamTls(
    string serverName, CertificateAuthority? authority, SslStreamCertificateContext? certificate)
{
    private static readonly List<SslApplicationProtocol> Http11 = [SslApplicationProtocol.Http11];

    public string ServerName => serverName;

    /// <summary>What one handshake is made with.</summary>
    /// <param name="judge">Has the last word on the instance's certificate.</param>
    public SslClientAuthenticationOptions ForHandshake(RemoteCertificateValidationCallback judge) => new()
    {
        TargetHost = serverName,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ApplicationProtocols = Http11,
        AllowRenegotiation = false,
        CertificateChainPolicy = CertificateAuthority.Policy(authority, CertificateAuthority.ServerAuthentication),
        ClientCertificateContext = certificate,
        RemoteCertificateValidationCallback = judge,
    };
}
