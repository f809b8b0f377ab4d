using Microsoft.AspNetCore.Http;
using Millau.Routing;

namespace Millau.Forwarding;

/// <summary>Sends a plain request to the same address on https (RFC 9110 section 15.4.9: method and body stay).</summary>
/// <param name="port">The port where clients reach the TLS listener.</param>
internal sealed class HttpsRedirect(int port)
{
    /// <summary>What an ACME server asks for on the plain port (RFC 8555 section 8.3), also of an instance.</summary>
    private const string AcmePath = "/.well-known/acme-challenge/";

    private readonly string _port = port == 443 ? "" : $":{port}";

    /// <summary>Whether a request of a route that is for https came without, and is none of an ACME server.</summary>
    public bool Applies(RequestContext context) =>
        context.Exchange.Scheme == "http" && !context.Target.Path.Span.StartsWith(AcmePath, StringComparison.Ordinal);

    /// <summary>Where it is sent.</summary>
    public string LocationOf(RequestContext context) =>
        $"https://{HostName.Bare(context.Host)}{_port}{(context.Target.IsAsterisk ? default : context.Target.Sent.Span)}";

    /// <summary>308. The body of the request, if there is one, is not read.</summary>
    public Task WriteAsync(RequestContext context) =>
        Responses.WriteAsync(context, StatusCodes.Status308PermanentRedirect, "Use https", ("Location", LocationOf(context)));
}
