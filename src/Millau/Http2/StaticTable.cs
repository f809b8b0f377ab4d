namespace Millau.Http2;

/// <summary>HPACK's static table (RFC 7541 appendix A).</summary>
internal static class StaticTable
{
    /// <summary>Its entries have the indices 1 to this; the dynamic table's follow.</summary>
    public const int Count = 61;

    /// <summary>The name of the entry with an index of 1 to <see cref="Count"/>.</summary>
    public static StaticName NameOf(int index) => index switch
    {
        3 => StaticName.Method,
        5 => StaticName.Path,
        7 => StaticName.Scheme,
        > 8 and < 15 => StaticName.Status,
        _ => (StaticName)index,
    };

    /// <summary>The value of the entry with an index of 1 to <see cref="Count"/>; most are empty.</summary>
    public static ReadOnlySpan<byte> Value(int index) => index switch
    {
        2 => "GET"u8,
        3 => "POST"u8,
        4 => "/"u8,
        5 => "/index.html"u8,
        6 => "http"u8,
        7 => "https"u8,
        8 => "200"u8,
        9 => "204"u8,
        10 => "206"u8,
        11 => "304"u8,
        12 => "400"u8,
        13 => "404"u8,
        14 => "500"u8,
        16 => "gzip, deflate"u8,
        _ => [],
    };

    /// <summary>The index of the entry for a status, or 0.</summary>
    public static int StatusIndex(int status) => status switch
    {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => 0,
    };

    /// <summary>Finds a name, which must be in lower case.</summary>
    public static StaticName Find(ReadOnlySpan<byte> name)
    {
        var candidate = Candidate(name);
        return candidate != StaticName.None && name.SequenceEqual(Bytes(candidate)) ? candidate : StaticName.None;
    }

    // The only name of the table with this length and this byte in the place that tells names of this length apart.
    private static StaticName Candidate(ReadOnlySpan<byte> name) => name.Length switch
    {
        3 => name[0] == 'a' ? StaticName.Age : StaticName.Via,
        4 => name[0] switch
        {
            (byte)'d' => StaticName.Date,
            (byte)'e' => StaticName.ETag,
            (byte)'f' => StaticName.From,
            (byte)'h' => StaticName.Host,
            (byte)'l' => StaticName.Link,
            _ => StaticName.Vary,
        },
        5 => name[0] switch { (byte)':' => StaticName.Path, (byte)'a' => StaticName.Allow, _ => StaticName.Range },
        6 => name[0] switch
        {
            (byte)'a' => StaticName.Accept,
            (byte)'c' => StaticName.Cookie,
            (byte)'e' => StaticName.Expect,
            _ => StaticName.Server,
        },
        7 => name[3] switch
        {
            (byte)'t' => StaticName.Method,
            (byte)'h' => StaticName.Scheme,
            (byte)'a' => StaticName.Status,
            (byte)'i' => StaticName.Expires,
            (byte)'e' => StaticName.Referer,
            _ => StaticName.Refresh,
        },
        8 => name[3] switch { (byte)'m' => StaticName.IfMatch, (byte)'r' => StaticName.IfRange, _ => StaticName.Location },
        10 => name[0] switch { (byte)':' => StaticName.Authority, (byte)'s' => StaticName.SetCookie, _ => StaticName.UserAgent },
        11 => StaticName.RetryAfter,
        12 => name[0] == 'c' ? StaticName.ContentType : StaticName.MaxForwards,
        13 => name[12] switch
        {
            (byte)'s' => StaticName.AcceptRanges,
            (byte)'n' => StaticName.Authorization,
            (byte)'l' => StaticName.CacheControl,
            (byte)'e' => StaticName.ContentRange,
            (byte)'h' => StaticName.IfNoneMatch,
            _ => StaticName.LastModified,
        },
        14 => name[0] == 'a' ? StaticName.AcceptCharset : StaticName.ContentLength,
        15 => name[7] == 'e' ? StaticName.AcceptEncoding : StaticName.AcceptLanguage,
        16 => name[12] switch
        {
            (byte)'d' => StaticName.ContentEncoding,
            (byte)'u' => StaticName.ContentLanguage,
            (byte)'t' => StaticName.ContentLocation,
            _ => StaticName.WwwAuthenticate,
        },
        17 => name[0] == 'i' ? StaticName.IfModifiedSince : StaticName.TransferEncoding,
        18 => StaticName.ProxyAuthenticate,
        19 => name[0] switch
        {
            (byte)'c' => StaticName.ContentDisposition,
            (byte)'i' => StaticName.IfUnmodifiedSince,
            _ => StaticName.ProxyAuthorization,
        },
        25 => StaticName.StrictTransportSecurity,
        27 => StaticName.AccessControlAllowOrigin,
        _ => StaticName.None,
    };

    /// <summary>The bytes of a name; empty for <see cref="StaticName.None"/>.</summary>
    public static ReadOnlySpan<byte> Bytes(StaticName name) => name switch
    {
        StaticName.Authority => ":authority"u8,
        StaticName.Method => ":method"u8,
        StaticName.Path => ":path"u8,
        StaticName.Scheme => ":scheme"u8,
        StaticName.Status => ":status"u8,
        StaticName.AcceptCharset => "accept-charset"u8,
        StaticName.AcceptEncoding => "accept-encoding"u8,
        StaticName.AcceptLanguage => "accept-language"u8,
        StaticName.AcceptRanges => "accept-ranges"u8,
        StaticName.Accept => "accept"u8,
        StaticName.AccessControlAllowOrigin => "access-control-allow-origin"u8,
        StaticName.Age => "age"u8,
        StaticName.Allow => "allow"u8,
        StaticName.Authorization => "authorization"u8,
        StaticName.CacheControl => "cache-control"u8,
        StaticName.ContentDisposition => "content-disposition"u8,
        StaticName.ContentEncoding => "content-encoding"u8,
        StaticName.ContentLanguage => "content-language"u8,
        StaticName.ContentLength => "content-length"u8,
        StaticName.ContentLocation => "content-location"u8,
        StaticName.ContentRange => "content-range"u8,
        StaticName.ContentType => "content-type"u8,
        StaticName.Cookie => "cookie"u8,
        StaticName.Date => "date"u8,
        StaticName.ETag => "etag"u8,
        StaticName.Expect => "expect"u8,
        StaticName.Expires => "expires"u8,
        StaticName.From => "from"u8,
        StaticName.Host => "host"u8,
        StaticName.IfMatch => "if-match"u8,
        StaticName.IfModifiedSince => "if-modified-since"u8,
        StaticName.IfNoneMatch => "if-none-match"u8,
        StaticName.IfRange => "if-range"u8,
        StaticName.IfUnmodifiedSince => "if-unmodified-since"u8,
        StaticName.LastModified => "last-modified"u8,
        StaticName.Link => "link"u8,
        StaticName.Location => "location"u8,
        StaticName.MaxForwards => "max-forwards"u8,
        StaticName.ProxyAuthenticate => "proxy-authenticate"u8,
        StaticName.ProxyAuthorization => "proxy-authorization"u8,
        StaticName.Range => "range"u8,
        StaticName.Referer => "referer"u8,
        StaticName.Refresh => "refresh"u8,
        StaticName.RetryAfter => "retry-after"u8,
        StaticName.Server => "server"u8,
        StaticName.SetCookie => "set-cookie"u8,
        StaticName.StrictTransportSecurity => "strict-transport-security"u8,
        StaticName.TransferEncoding => "transfer-encoding"u8,
        StaticName.UserAgent => "user-agent"u8,
        StaticName.Vary => "vary"u8,
        StaticName.Via => "via"u8,
        StaticName.WwwAuthenticate => "www-authenticate"u8,
        _ => [],
    };
}
