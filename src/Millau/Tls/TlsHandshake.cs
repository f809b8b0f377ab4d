using System.Net.Security;
using Microsoft.AspNetCore.Connections;

namespace Millau.Tls;

/// <summary>
/// Decides each handshake, by the name that the client asks for.
/// <list type="number">
/// <item>A challenge of an ACME server: only on connections that offer <c>acme-tls/1</c>.</item>
/// <item>The certificate.</item>
/// <item>Whether the client is to show one.</item>
/// </list>
/// What the parts answer is made beforehand and shared, so that a handshake allocates nothing here; but for the self-signed
/// certificate, which the first one that gets it waits for.
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

    /// <param name="serverName">The name in the ClientHello; empty for none.</param>
    /// <param name="connection">Gets features of what the handshake finds out.</param>
    /// <param name="cancellation">Ends the wait for a certificate that is being made.</param>
    public async ValueTask<SslServerAuthenticationOptions> ChooseAsync(
        string serverName, ConnectionContext connection, CancellationToken cancellation)
    {
        var host = CertificateStore.ToHost(serverName);
        // 1.
        if (!Challenges.IsEmpty && connection.Features.Get<AcmeTlsOffer>() is not null
            && Challenges.Find(host) is { } answer)
        {
            return answer;
        }
        // 2.
        var certificate = certificates.Select(host) ?? await certificates.SelfSigned.GetAsync().WaitAsync(cancellation).ConfigureAwait(false);
        // 3.
        return ClientCertificates?.Invoke(host, certificate, connection) ?? certificate.Options;
    }
}
