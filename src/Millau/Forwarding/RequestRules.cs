using System.Buffers;
using System.Buffers.Text;
using System.Text;
using Microsoft.AspNetCore.Http;
using Millau.Http1;
using Millau.Ingress;
using Millau.Routing;

namespace Millau.Forwarding;

/// <summary>A request that is not forwarded: the status and the one line that the client gets.</summary>
internal readonly record struct Refusal(int Status, string Reason);

/// <summary>
/// Refuses requests that are well framed but that two readers could understand differently, or that are not for a reverse proxy.
/// All of them close the connection, as what follows on it is in doubt.
/// </summary>
internal static class RequestRules
{
    private static readonly SearchValues<byte> NameBytes =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+;="u8);

    private static readonly SearchValues<byte> AddressBytes = SearchValues.Create("0123456789abcdefABCDEF:."u8);

    /// <summary>Checks a request and reads its target and host. Null if it may be forwarded.</summary>
    public static Refusal? Check(RequestContext context)
    {
        var exchange = context.Exchange;
        // Tunnels to anywhere and echoes of headers are not for a reverse proxy (RFC 9110 section 9.3.6, 9.3.8).
        if (exchange.Method is "TRACE" or "CONNECT" && !IsWebSocket(context))
            return new(StatusCodes.Status501NotImplemented, $"Method {exchange.Method} is not supported");
        if (context.IsHttp2 && CheckHttp2(exchange.Fields) is { } refusal) return refusal;
        if (exchange.Fields.Has(FieldName.Upgrade) && RequestHead.IsUpgradeWithBody(context))
            return new(StatusCodes.Status400BadRequest, "Bad request: an upgrade with a body");
        if (!RequestTarget.TryParse(exchange.Target, out var target, out var reason))
            return new(StatusCodes.Status400BadRequest, "Bad request: " + reason);
        context.Target = target;
        return CheckHost(context);
    }

    /// <summary>An HTTP/2 client asks for a WebSocket in a stream (RFC 8441).</summary>
    public static bool IsWebSocket(RequestContext context) =>
        string.Equals(context.Exchange.ConnectProtocol, WebSocketHandshake.Protocol, StringComparison.OrdinalIgnoreCase);

    // RFC 9113 section 8.2.2: HTTP/2 frames for itself, and such a request is malformed. TE may say that trailers are welcome.
    private static Refusal? CheckHttp2(RequestFields fields) =>
        fields.Has(FieldName.TransferEncoding) || fields.Has(FieldName.Upgrade) || fields.Has(FieldName.KeepAlive)
        || fields.Has(FieldName.Connection) || fields.Has(FieldName.ProxyConnection)
        || (fields.Has(FieldName.Te) && !Ascii.EqualsIgnoreCase(fields.First(FieldName.Te), "trailers"u8))
            ? new(StatusCodes.Status400BadRequest, "Bad request: a field of HTTP/1.1 connections in HTTP/2")
            : null;

    // RFC 9112 section 3.2: one Host, and a target in absolute form may not name another.
    private static Refusal? CheckHost(RequestContext context)
    {
        var fields = context.Exchange.Fields;
        if (fields.CountOf(FieldName.Host) > 1) return new(StatusCodes.Status400BadRequest, "Bad request: more than one Host");
        var host = fields.First(FieldName.Host);
        if (host.IsEmpty && context.Exchange.Version != HttpVersion.Http10)
            return new(StatusCodes.Status400BadRequest, "Bad request: no Host");
        if (host.IsEmpty)
        {
            context.Host = context.Client.LocalAddress;
        }
        // Clients often ask the same host again, and then it has been looked at.
        else if (!Ascii.Equals(host, context.Host))
        {
            if (!IsHost(host)) return new(StatusCodes.Status400BadRequest, "Bad request: Host is not a host name with an optional port");
            context.Host = Encoding.ASCII.GetString(host);
        }
        var authority = context.Target.Authority.Span;
        if (!authority.IsEmpty && (host.IsEmpty || !authority.Equals(context.Host, StringComparison.OrdinalIgnoreCase)))
            return new(StatusCodes.Status400BadRequest, "Bad request: Host differs from the request target");
        // HTTP/1.0 may go without Host; what is sent on is HTTP/1.1 and may not. The address that the client came to is
        // then what it means (RFC 9112 section 3.3), and an empty Host is refused by too many servers.
        return null;
    }

    // uri-host [ ":" port ] (RFC 9110 section 7.2), without escapes, which no name that is resolved has.
    private static bool IsHost(ReadOnlySpan<byte> host)
    {
        var port = ReadOnlySpan<byte>.Empty;
        if (host[0] == '[')
        {
            var end = host.IndexOf((byte)']');
            if (end < 0 || host[1..end].ContainsAnyExcept(AddressBytes)) return false;
            port = host[(end + 1)..];
            if (port.IsEmpty) return true;
            if (port[0] != ':') return false;
            port = port[1..];
        }
        else
        {
            var colon = host.IndexOf((byte)':');
            var name = colon < 0 ? host : host[..colon];
            if (name.IsEmpty || name.ContainsAnyExcept(NameBytes)) return false;
            if (colon >= 0) port = host[(colon + 1)..];
        }
        return port.IsEmpty || (!port.ContainsAnyExceptInRange((byte)'0', (byte)'9') && Utf8Parser.TryParse(port, out ushort _, out var used) && used == port.Length);
    }
}
