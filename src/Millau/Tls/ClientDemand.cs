using System.Collections.Immutable;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace Millau.Tls;

/// <summary>
/// The demand of a host that its clients show a certificate: one of the CAs of the services that answer for it. Which of them
/// a request needs is not known before the request, so that is looked at then. The handshake lets everybody pass: .NET 10 could
/// only drop the connection without a word, as it sends no alert of its own, and a request can be told what is wrong.
/// </summary>
/// <remarks>Sessions are not resumed: a ticket has the client's certificate, but not the intermediates that it came with.</remarks>
internal sealed class ClientDemand(ImmutableArray<ClientAuthority> authorities)
{
    private volatile Prepared? _prepared;

    public ImmutableArray<ClientAuthority> Authorities => authorities;

    /// <summary>
    /// The options for one handshake; null while none of the CAs is usable: no certificate would be valid, and requests are
    /// refused.
    /// </summary>
    /// <param name="own">The server's certificate.</param>
    /// <param name="connection">Gets <see cref="ClientCertificate"/> as a feature.</param>
    public SslServerAuthenticationOptions? ForHandshake(TlsCertificate own, BaseConnectionContext connection, ILogger log)
    {
        if (Prepare(own) is not { } prepared) return null;
        var options = TlsCertificate.OptionsFor(prepared.Context);
        options.AllowTlsResume = false;
        options.ClientCertificateRequired = true;
        options.CertificateChainPolicy = CertificateAuthority.Policy(prepared.Union, CertificateAuthority.ClientAuthentication);
        options.RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
        {
            if (certificate is not X509Certificate2 shown || chain is null) return true;
            if (CertificateWords.Describe(shown, chain, errors, "") is { } problem)
                Log.ClientCertificateRefused(log, connection.RemoteEndPoint?.ToString() ?? "unknown", problem);
            connection.Features.Set(new ClientCertificate(shown, chain.ChainPolicy.ExtraStore));
            return true;
        };
        return options;
    }

    // What does not differ from handshake to handshake; most hosts have one certificate of their own and one CA.
    private Prepared? Prepare(TlsCertificate own)
    {
        var current = ImmutableArray.CreateBuilder<CertificateAuthority>(authorities.Length);
        foreach (var authority in authorities)
            if (authority.Current is { } usable && !current.Contains(usable)) current.Add(usable);
        if (current.Count == 0) return null;
        var prepared = _prepared;
        if (prepared is not null && ReferenceEquals(prepared.Own, own) && prepared.Authorities.AsSpan().SequenceEqual(current.ToArray()))
            return prepared;
        var union = current.Count == 1 ? current[0] : CertificateAuthority.Union(current);
        // Their names go to the client, which chooses a certificate by them.
        var trust = SslCertificateTrust.CreateForX509Collection(union.Roots, sendTrustInHandshake: true);
        var context = SslStreamCertificateContext.Create(
            own.Leaf, [.. own.Context.IntermediateCertificates], offline: true, trust);
        return _prepared = new Prepared(own, current.DrainToImmutable(), union, context);
    }

    private sealed record Prepared(
        TlsCertificate Own, ImmutableArray<CertificateAuthority> Authorities, CertificateAuthority Union, SslStreamCertificateContext Context);
}
