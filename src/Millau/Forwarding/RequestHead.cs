using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;
using Millau.Http1;

namespace Millau.Forwarding;

/// <summary>Writes the head that goes to the instance: what the client said, less what ends here, plus who it is.</summary>
internal static class RequestHead
{
    /// <summary>
    /// Writes the head into the context's writer. What does not fit the grammar leaves the writer invalid, and the
    /// request is refused.
    /// </summary>
    public static void Write(RequestContext context)
    {
        var request = context.Request;
        var headers = request.Headers;
        var writer = context.Writer;
        writer.Start(context.WebSocketKey is null ? request.Method : "GET", context.Target.Sent.Span);
        writer.Field("Host: "u8, context.Host);
        var connection = headers.Connection;
        var namesFields = NamesFields(connection);
        foreach (var (name, values) in headers)
        {
            if (HeaderRules.ForRequest(name) != HeaderRule.Pass) continue;
            if (namesFields && IsNamed(connection, name)) continue;
            if (context.ServerSpan is not null && TraceContext.Replaces(name)) continue;
            // The key is Millau's, below; HTTP/2 has none (RFC 8441 section 5).
            if (context.WebSocketKey is not null && name.Equals("Sec-WebSocket-Key", StringComparison.OrdinalIgnoreCase)) continue;
            WriteField(writer, name, values);
        }
        // Values of these that the client sent were left out above: they are not to be trusted, or are in the context.
        writer.Field("X-Forwarded-For: "u8, context.ForwardedFor ?? context.ClientAddress);
        writer.Field("X-Forwarded-Proto: "u8, request.Scheme);
        writer.Field("X-Forwarded-Host: "u8, context.ForwardedHost ?? context.Host);
        writer.Field("X-Real-IP: "u8, context.ClientAddress);
        if (context.ServerSpan is { } span) TraceContext.Write(context, span);
        if (context.Certificate is { } certificate) writer.Optional("Client-Cert: "u8, certificate.HeaderValue);
        if (context.ExpectsContinue) writer.Raw("Expect: 100-continue\r\n"u8);
        if (context.Upgrade is { } upgrade)
        {
            writer.Raw("Connection: Upgrade\r\n"u8);
            writer.Field("Upgrade: "u8, upgrade);
            if (context.WebSocketKey is { } key) writer.Field("Sec-WebSocket-Key: "u8, key);
        }
        else if (AcceptsTrailers(headers))
        {
            context.TakesTrailers = true;
            // RFC 9110 section 10.1.4: TE is of this connection, and has to be named.
            writer.Raw("TE: trailers\r\nConnection: TE\r\n"u8);
        }
        WriteFraming(context, writer);
        writer.End();
    }

    private static void WriteFraming(RequestContext context, RequestWriter writer)
    {
        if (context.Body.Length >= 0)
        {
            writer.ContentLength(context.Body.Length);
        }
        else if (context.Body.Exists)
        {
            writer.Raw("Transfer-Encoding: chunked\r\n"u8);
            var trailer = context.Request.Headers.Trailer;
            for (var i = 0; i < trailer.Count; i++)
                if (Trailers.Announced(trailer[i]) is { } names) writer.Field("Trailer: "u8, names);
        }
        else if (context.IsHttp2 && context.Request.Method is "POST" or "PUT" or "PATCH")
        {
            // HTTP/2 needs no length to say that there is no body; in HTTP/1.1 some servers insist (RFC 9110 section 8.6).
            writer.ContentLength(0);
        }
    }

    /// <summary>
    /// The protocol to switch to, if the client asks for one that can be tunnelled. <c>h2c</c> cannot: its first
    /// request would be answered in a protocol that nobody here reads; to ignore the wish is allowed (RFC 9110 section
    /// 7.8), and then it may have a body too.
    /// </summary>
    public static string? ReadUpgrade(RequestContext context)
    {
        // Most requests want none, and are to pay for no more than this look.
        var upgrade = context.Request.Headers.Upgrade;
        if (upgrade.Count != 1 || context.CanHaveBody) return null;
        if (context.Features.Get<IHttpUpgradeFeature>() is not { IsUpgradableRequest: true }) return null;
        var value = upgrade[0]!;
        return HeaderRules.Names(value, "h2c") ? null : value;
    }

    /// <summary>
    /// A switch of protocols asked for by a request with a body, whose end and the beginning of the tunnel could be
    /// understood differently.
    /// </summary>
    public static bool IsUpgradeWithBody(RequestContext context) =>
        context.CanHaveBody && context.Request.Headers is var headers
        && IsNamed(headers.Connection, "Upgrade") && !IsNamed(headers.Upgrade, "h2c");

    private static void WriteField(RequestWriter writer, string name, StringValues values)
    {
        if (values.Count == 1)
        {
            writer.Field(name, values[0]);
        }
        else if (name.Equals("Cookie", StringComparison.OrdinalIgnoreCase))
        {
            // HTTP/2 splits cookies; HTTP/1.1 has one field (RFC 9113 section 8.2.3).
            writer.Field(name, string.Join("; ", values.ToArray()));
        }
        else
        {
            for (var i = 0; i < values.Count; i++) writer.Field(name, values[i]);
        }
    }

    // Nearly always absent, or just one of these.
    private static bool NamesFields(StringValues connection) =>
        connection.Count > 1 || (connection.Count == 1 && connection[0] is { } value
            && !value.Equals("keep-alive", StringComparison.OrdinalIgnoreCase)
            && !value.Equals("close", StringComparison.OrdinalIgnoreCase)
            && !value.Equals("upgrade", StringComparison.OrdinalIgnoreCase));

    private static bool IsNamed(StringValues list, string name)
    {
        for (var i = 0; i < list.Count; i++)
            if (HeaderRules.Names(list[i], name)) return true;
        return false;
    }

    private static bool AcceptsTrailers(IHeaderDictionary headers)
    {
        var te = headers.TE;
        for (var i = 0; i < te.Count; i++)
            if (HeaderRules.Names(te[i], "trailers")) return true;
        return false;
    }
}
