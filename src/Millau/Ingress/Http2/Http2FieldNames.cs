using Millau.Http2;

namespace Millau.Ingress.Http2;

/// <summary>
/// How well-known names are written to instances. Names are compared without case, but not by every program that speaks HTTP/1.1;
/// such a one knows these as they stand in their specifications, and not in the lower case of HTTP/2.
/// </summary>
internal static class Http2FieldNames
{
    /// <summary>The usual writing of a name of the static table that requests have; empty for any other.</summary>
    public static ReadOnlySpan<byte> Usual(StaticName name) => name switch
    {
        StaticName.Accept => "Accept"u8,
        StaticName.AcceptCharset => "Accept-Charset"u8,
        StaticName.AcceptEncoding => "Accept-Encoding"u8,
        StaticName.AcceptLanguage => "Accept-Language"u8,
        StaticName.Authorization => "Authorization"u8,
        StaticName.CacheControl => "Cache-Control"u8,
        StaticName.ContentEncoding => "Content-Encoding"u8,
        StaticName.ContentLanguage => "Content-Language"u8,
        StaticName.ContentLength => "Content-Length"u8,
        StaticName.ContentLocation => "Content-Location"u8,
        StaticName.ContentRange => "Content-Range"u8,
        StaticName.ContentType => "Content-Type"u8,
        StaticName.ContentDisposition => "Content-Disposition"u8,
        StaticName.Cookie => "Cookie"u8,
        StaticName.Date => "Date"u8,
        StaticName.Expect => "Expect"u8,
        StaticName.From => "From"u8,
        StaticName.Host => "Host"u8,
        StaticName.IfMatch => "If-Match"u8,
        StaticName.IfModifiedSince => "If-Modified-Since"u8,
        StaticName.IfNoneMatch => "If-None-Match"u8,
        StaticName.IfRange => "If-Range"u8,
        StaticName.IfUnmodifiedSince => "If-Unmodified-Since"u8,
        StaticName.MaxForwards => "Max-Forwards"u8,
        StaticName.ProxyAuthorization => "Proxy-Authorization"u8,
        StaticName.Range => "Range"u8,
        StaticName.Referer => "Referer"u8,
        StaticName.TransferEncoding => "Transfer-Encoding"u8,
        StaticName.UserAgent => "User-Agent"u8,
        StaticName.Via => "Via"u8,
        _ => [],
    };

    /// <summary>The same for names that are not in the table: those of WebSocket, and what browsers send.</summary>
    public static ReadOnlySpan<byte> Usual(ReadOnlySpan<byte> name) => name.Length switch
    {
        2 when name.SequenceEqual("te"u8) => "TE"u8,
        6 when name.SequenceEqual("origin"u8) => "Origin"u8,
        6 when name.SequenceEqual("pragma"u8) => "Pragma"u8,
        7 when name.SequenceEqual("trailer"u8) => "Trailer"u8,
        7 when name.SequenceEqual("upgrade"u8) => "Upgrade"u8,
        10 when name.SequenceEqual("connection"u8) => "Connection"u8,
        17 when name.SequenceEqual("sec-websocket-key"u8) => "Sec-WebSocket-Key"u8,
        21 when name.SequenceEqual("sec-websocket-version"u8) => "Sec-WebSocket-Version"u8,
        22 when name.SequenceEqual("sec-websocket-protocol"u8) => "Sec-WebSocket-Protocol"u8,
        24 when name.SequenceEqual("sec-websocket-extensions"u8) => "Sec-WebSocket-Extensions"u8,
        25 when name.SequenceEqual("upgrade-insecure-requests"u8) => "Upgrade-Insecure-Requests"u8,
        29 when name.SequenceEqual("access-control-request-method"u8) => "Access-Control-Request-Method"u8,
        30 when name.SequenceEqual("access-control-request-headers"u8) => "Access-Control-Request-Headers"u8,
        _ => name,
    };
}
