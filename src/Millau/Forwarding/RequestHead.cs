using System.Text;
using Millau.Http1;
using Millau.Ingress;

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
        var exchange = context.Exchange;
        var fields = exchange.Fields;
        var bytes = fields.Bytes;
        var writer = context.Writer;
        writer.Start(context.WebSocketKey is null ? exchange.Method : "GET", context.Target.Sent.Span);
        context.Forwarded.Write(context, writer);
        var namesFields = NamesFields(fields);
        var cookies = fields.CountOf(FieldName.Cookie);
        // What stands side by side goes on together.
        var all = fields.All;
        var first = 0;
        for (var i = 0; i < all.Length; i++)
        {
            ref readonly var field = ref all[i];
            var passes = Passes(field, context, namesFields);
            var isSplit = field.Known == FieldName.Cookie && cookies > 1;
            if (passes && !isSplit) continue;
            writer.Copy(bytes, all[first..i]);
            first = i + 1;
            if (!passes || cookies == int.MaxValue) continue;
            // HTTP/2 splits cookies; HTTP/1.1 has one field (RFC 9113 section 8.2.3).
            writer.Field("Cookie: "u8, string.Join("; ", fields.Values(FieldName.Cookie)));
            cookies = int.MaxValue;
        }
        writer.Copy(bytes, all[first..]);
        if (context.ServerSpan is { } span) TraceContext.Write(context, span);
        if (context.Certificate is { } certificate) writer.Optional("Client-Cert: "u8, certificate.HeaderValue);
        if (context.ExpectsContinue) writer.Raw("Expect: 100-continue\r\n"u8);
        if (context.Upgrade is { } upgrade)
        {
            writer.Raw("Connection: Upgrade\r\n"u8);
            writer.Field("Upgrade: "u8, upgrade);
            if (context.WebSocketKey is { } key) writer.Field("Sec-WebSocket-Key: "u8, key);
        }
        else if (fields.Lists(FieldName.Te, "trailers"u8))
        {
            context.TakesTrailers = true;
            // RFC 9110 section 10.1.4: TE is of this connection, and has to be named.
            writer.Raw("TE: trailers\r\nConnection: TE\r\n"u8);
        }
        WriteFraming(context, writer);
        writer.End();
    }

    private static bool Passes(in Field field, RequestContext context, bool namesFields)
    {
        if (HeaderRules.ForRequest(field.Known) != HeaderRule.Pass) return false;
        var fields = context.Exchange.Fields;
        if (namesFields && fields.Lists(FieldName.Connection, field.Name(fields.Bytes))) return false;
        return field.Known switch
        {
            // What is traced has the trace's own.
            FieldName.TraceParent or FieldName.TraceState => context.ServerSpan is null,
            // The key is Millau's; HTTP/2 has none (RFC 8441 section 5).
            FieldName.SecWebSocketKey => context.WebSocketKey is null,
            _ => true,
        };
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
            var fields = context.Exchange.Fields;
            foreach (var field in fields.All)
                if (field.Known == FieldName.Trailer && Trailers.Announced(field.Value(fields.Bytes)) is { } names)
                    writer.Field("Trailer: "u8, names);
        }
        else if (context.IsHttp2 && context.Exchange.Method is "POST" or "PUT" or "PATCH")
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
        var exchange = context.Exchange;
        var fields = exchange.Fields;
        if (!fields.Has(FieldName.Upgrade) || fields.CountOf(FieldName.Upgrade) != 1 || exchange.HasBody) return null;
        if (exchange.Version != HttpVersion.Http11 || !fields.Lists(FieldName.Connection, "upgrade"u8)) return null;
        return HeaderRules.Names(fields.First(FieldName.Upgrade), "h2c"u8) ? null : fields.Text(FieldName.Upgrade);
    }

    /// <summary>
    /// A switch of protocols asked for by a request with a body, whose end and the beginning of the tunnel could be
    /// understood differently.
    /// </summary>
    public static bool IsUpgradeWithBody(RequestContext context) =>
        context.Exchange is { HasBody: true, Fields: var fields }
        && fields.Lists(FieldName.Connection, "upgrade"u8) && !fields.Lists(FieldName.Upgrade, "h2c"u8);

    // Nearly always absent, or just one of these.
    private static bool NamesFields(RequestFields fields)
    {
        if (!fields.Has(FieldName.Connection)) return false;
        if (fields.CountOf(FieldName.Connection) > 1) return true;
        var value = fields.First(FieldName.Connection);
        return !Ascii.EqualsIgnoreCase(value, "keep-alive"u8) && !Ascii.EqualsIgnoreCase(value, "close"u8)
            && !Ascii.EqualsIgnoreCase(value, "upgrade"u8);
    }
}
