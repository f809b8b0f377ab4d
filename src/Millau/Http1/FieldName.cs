namespace Millau.Http1;

/// <summary>The header fields that Millau itself looks at, in requests or responses; every other one is <see cref="Other"/>.</summary>
internal enum FieldName : byte
{
    Other,
    ClientCert,
    ClientCertChain,
    Connection,
    ContentLength,
    Cookie,
    Date,
    Expect,
    Host,
    Http2Settings,
    IdempotencyKey,
    IfNoneMatch,
    KeepAlive,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Referer,
    SecWebSocketAccept,
    SecWebSocketKey,
    Te,
    TraceParent,
    TraceState,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    XRealIp,

    /// <summary>
    /// One of the fields that say who the client is, with <c>_</c> for <c>-</c>: CGI and its heirs cannot tell it from the real one.
    /// </summary>
    TrustDouble,
}

/// <summary>Which field a name is. Names are compared without case (RFC 9110 section 5.1).</summary>
internal static class FieldNames
{
    private static ReadOnlySpan<byte> ForwardedFor => "x-forwarded-for"u8;
    private static ReadOnlySpan<byte> ForwardedHost => "x-forwarded-host"u8;
    private static ReadOnlySpan<byte> ForwardedProto => "x-forwarded-proto"u8;
    private static ReadOnlySpan<byte> ClientCert => "client-cert"u8;
    private static ReadOnlySpan<byte> ClientCertChain => "client-cert-chain"u8;
    private static ReadOnlySpan<byte> RealIp => "x-real-ip"u8;

    /// <summary>Finds the field; the length and first letter rule nearly all of them out at once.</summary>
    /// <param name="name">A token: what is none may be taken for a field.</param>
    public static FieldName Of(ReadOnlySpan<byte> name)
    {
        if (name.IsEmpty) return FieldName.Other;
        var first = name[0] | 0x20;
        return name.Length switch
        {
            2 when first == 't' => Match(name, "te"u8, FieldName.Te),
            4 when first == 'h' => Match(name, "host"u8, FieldName.Host),
            4 when first == 'd' => Match(name, "date"u8, FieldName.Date),
            6 when first == 'e' => Match(name, "expect"u8, FieldName.Expect),
            6 when first == 'c' => Match(name, "cookie"u8, FieldName.Cookie),
            7 when first == 'u' => Match(name, "upgrade"u8, FieldName.Upgrade),
            7 when first == 't' => Match(name, "trailer"u8, FieldName.Trailer),
            7 when first == 'r' => Match(name, "referer"u8, FieldName.Referer),
            9 when first == 'x' => Trust(name, RealIp, FieldName.XRealIp),
            10 when first == 'c' => Match(name, "connection"u8, FieldName.Connection),
            10 when first == 'k' => Match(name, "keep-alive"u8, FieldName.KeepAlive),
            10 when first == 'u' => Match(name, "user-agent"u8, FieldName.UserAgent),
            10 when first == 't' => Match(name, "tracestate"u8, FieldName.TraceState),
            11 when first == 't' => Match(name, "traceparent"u8, FieldName.TraceParent),
            11 when first == 'c' => Trust(name, ClientCert, FieldName.ClientCert),
            13 when first == 'i' => Match(name, "if-none-match"u8, FieldName.IfNoneMatch),
            14 when first == 'c' => Match(name, "content-length"u8, FieldName.ContentLength),
            14 when first == 'h' => Match(name, "http2-settings"u8, FieldName.Http2Settings),
            15 when first == 'x' => Trust(name, ForwardedFor, FieldName.XForwardedFor),
            15 when first == 'i' => Match(name, "idempotency-key"u8, FieldName.IdempotencyKey),
            16 when first == 'x' => Trust(name, ForwardedHost, FieldName.XForwardedHost),
            16 when first == 'p' => Match(name, "proxy-connection"u8, FieldName.ProxyConnection),
            17 when first == 'x' => Trust(name, ForwardedProto, FieldName.XForwardedProto),
            17 when first == 'c' => Trust(name, ClientCertChain, FieldName.ClientCertChain),
            17 when first == 't' => Match(name, "transfer-encoding"u8, FieldName.TransferEncoding),
            17 when first == 's' => Match(name, "sec-websocket-key"u8, FieldName.SecWebSocketKey),
            18 when first == 'p' => Match(name, "proxy-authenticate"u8, FieldName.ProxyAuthenticate),
            19 when first == 'p' => Match(name, "proxy-authorization"u8, FieldName.ProxyAuthorization),
            20 when first == 's' => Match(name, "sec-websocket-accept"u8, FieldName.SecWebSocketAccept),
            _ => FieldName.Other,
        };
    }

    private static FieldName Match(ReadOnlySpan<byte> name, ReadOnlySpan<byte> expected, FieldName field) =>
        HttpChars.EqualsIgnoreCase(name, expected) ? field : FieldName.Other;

    private static FieldName Trust(ReadOnlySpan<byte> name, ReadOnlySpan<byte> expected, FieldName field)
    {
        if (HttpChars.EqualsIgnoreCase(name, expected)) return field;
        for (var i = 0; i < expected.Length; i++)
        {
            var c = name[i] == '_' ? (byte)'-' : name[i];
            if (c != expected[i] && (c | 0x20) != expected[i]) return FieldName.Other;
        }
        return FieldName.TrustDouble;
    }
}
