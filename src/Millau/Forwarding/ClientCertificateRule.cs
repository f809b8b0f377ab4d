using Microsoft.AspNetCore.Http;
using Millau.Routing;
using Millau.Tls;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// Whether a request may go to a group of which a service lets in only clients with a certificate. What counts is the
/// certificate of the connection and the CAs as they are now.
/// </summary>
internal sealed class ClientCertificateRule(TimeProvider time)
{
    /// <summary>What is said to a client without a certificate.</summary>
    public const string Required = "a client certificate is required";

    /// <summary>What is said to a client without TLS.</summary>
    public const string RequiredWithHttps = Required + ", and with it https";

    /// <summary>What is said while a CA cannot be read.</summary>
    public const string Unverifiable = "client certificates cannot be verified";

    /// <summary>Null if it may. The connection itself is in order: it may carry other requests.</summary>
    public Refusal? Check(RequestContext context, UpstreamGroup group)
    {
        if (group.ClientAuthorities.IsEmpty || FindProblem(context.Certificate, group) is not { } problem) return null;
        if (context.Client.Tls is not { } tls)
            return Forbidden(RequiredWithHttps);
        // The handshake asked for what another host needs, or for nothing; on a connection for this host the client may
        // have its certificate accepted (RFC 9110 section 15.5.20). HTTP/2 clients share connections between hosts.
        if (!HostName.Bare(context.Host).Equals(CertificateStore.ToHost(tls.ServerName), StringComparison.OrdinalIgnoreCase))
            return new(StatusCodes.Status421MisdirectedRequest, "Misdirected request: this host needs a connection of its own, with a client certificate");
        return Forbidden(problem);
    }

    /// <summary>A refusal for one of the reasons above.</summary>
    public static Refusal Forbidden(string reason) => new(StatusCodes.Status403Forbidden, "Forbidden: " + reason);

    // Each service trusts what it gets, so the certificate has to be from the CA of each of them.
    private string? FindProblem(ClientCertificate? shown, UpstreamGroup group)
    {
        if (shown is null) return Required;
        foreach (var authority in group.ClientAuthorities)
        {
            // Why there is no CA is the operator's business, and in the log.
            if (authority.Current is not { } current) return Unverifiable;
            if (shown.ProblemFor(current, time.GetUtcNow()) is { } problem) return "the client's " + problem;
        }
        return null;
    }
}
