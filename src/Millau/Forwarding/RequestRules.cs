using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Millau.Routing;

namespace Millau.Forwarding;

/// <summary>A request that is not forwarded: the status and the one line that the client gets.</summary>
internal readonly record struct Refusal(int Status, string Reason);

/// <summary>
/// Refuses requests that Kestrel lets pass but that two readers could understand differently, or that are not for a
/// reverse proxy. All of them close the connection, as what follows on it is in doubt.
/// </summary>
internal static class RequestRules
{
    /// <summary>Checks a request and reads its target and host. Null if it may be forwarded.</summary>
    public static Refusal? Check(RequestContext context)
    {
        var request = context.Request;
        var headers = request.Headers;
        // Tunnels to anywhere and echoes of headers are not for a reverse proxy (RFC 9110 section 9.3.6, 9.3.8).
        if (request.Method is "TRACE" or "CONNECT" && !IsWebSocket(context))
            return new(StatusCodes.Status501NotImplemented, $"Method {request.Method} is not supported");
        if ((context.IsHttp2 ? CheckHttp2(headers) : CheckFraming(request.Protocol, headers)) is { } refusal) return refusal;
        if (headers.Upgrade.Count > 0 && RequestHead.IsUpgradeWithBody(context))
            return new(StatusCodes.Status400BadRequest, "Bad request: an upgrade with a body");
        if (!RequestTarget.TryParse(request.RawTarget, out var target, out var reason))
            return new(StatusCodes.Status400BadRequest, "Bad request: " + reason);
        context.Target = target;
        return CheckHost(context, headers);
    }

    /// <summary>An HTTP/2 client asks for a WebSocket in a stream (RFC 8441).</summary>
    public static bool IsWebSocket(RequestContext context) =>
        context.IsHttp2 && context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } connect
        && string.Equals(connect.Protocol, WebSocketHandshake.Protocol, StringComparison.OrdinalIgnoreCase);

    // RFC 9113 section 8.2.2: HTTP/2 frames for itself, and such a request is malformed. Kestrel sees to Connection and TE.
    private static Refusal? CheckHttp2(IHeaderDictionary headers) =>
        headers.TransferEncoding.Count > 0 || headers.Upgrade.Count > 0 || headers.KeepAlive.Count > 0
        || headers.Connection.Count > 0 || headers.ContainsKey("Proxy-Connection")
            ? new(StatusCodes.Status400BadRequest, "Bad request: a field of HTTP/1.1 connections in HTTP/2")
            : null;

    // RFC 9112 section 6.1: both framings, or a coding that is not understood, make the length of the body doubtful.
    private static Refusal? CheckFraming(string protocol, IHeaderDictionary headers)
    {
        var codings = headers.TransferEncoding;
        if (codings.Count == 0) return null;
        // Kestrel lets Transfer-Encoding win and renames the length, so that it is seen here under this name.
        if (headers.ContentLength is not null || headers.ContainsKey("X-Content-Length"))
            return new(StatusCodes.Status400BadRequest, "Bad request: Content-Length and Transfer-Encoding together");
        if (protocol == "HTTP/1.0")
            return new(StatusCodes.Status400BadRequest, "Bad request: Transfer-Encoding in HTTP/1.0");
        if (codings.Count > 1 || NamesChunkedTwice(codings[0]))
            return new(StatusCodes.Status400BadRequest, "Bad request: more than one Transfer-Encoding");
        if (!string.Equals(codings[0], "chunked", StringComparison.OrdinalIgnoreCase))
            return new(StatusCodes.Status501NotImplemented, "Transfer-Encoding other than chunked is not supported");
        return null;
    }

    // RFC 9112 section 3.2: one Host, and a target in absolute form may not name another.
    private static Refusal? CheckHost(RequestContext context, IHeaderDictionary headers)
    {
        var hosts = headers.Host;
        var authority = context.Target.Authority.Span;
        if (hosts.Count > 1) return new(StatusCodes.Status400BadRequest, "Bad request: more than one Host");
        var host = hosts.Count == 0 ? "" : hosts[0] ?? "";
        if (host.Length == 0 && context.Request.Protocol != "HTTP/1.0")
            return new(StatusCodes.Status400BadRequest, "Bad request: no Host");
        if (!authority.IsEmpty && !authority.Equals(host, StringComparison.OrdinalIgnoreCase))
            return new(StatusCodes.Status400BadRequest, "Bad request: Host differs from the request target");
        if (host.Length > 0 && !HasValidPort(host))
            return new(StatusCodes.Status400BadRequest, "Bad request: Host is not a host name with an optional port");
        // HTTP/1.0 may go without Host; what is sent on is HTTP/1.1 and may not. The address that the client came to is
        // then what it means (RFC 9112 section 3.3), and an empty Host is refused by too many servers.
        context.Host = host.Length > 0 ? host : context.LocalAddress;
        return null;
    }

    private static bool NamesChunkedTwice(ReadOnlySpan<char> codings)
    {
        var first = codings.IndexOf("chunked", StringComparison.OrdinalIgnoreCase);
        return first >= 0 && codings[(first + 1)..].Contains("chunked", StringComparison.OrdinalIgnoreCase);
    }

    private static bool HasValidPort(ReadOnlySpan<char> host)
    {
        var colon = host.LastIndexOf(':');
        if (colon < 0 || host[^1] == ']') return true;
        var port = host[(colon + 1)..];
        return colon > 0 && (port.IsEmpty || ushort.TryParse(port, out _));
    }
}
