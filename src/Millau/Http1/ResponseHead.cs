namespace Millau.Http1;

/// <summary>
/// One parsed response head. Reused from response to response; offsets point into the buffer it was parsed from and
/// hold as long as that buffer does.
/// </summary>
internal sealed class ResponseHead
{
    private Field[] _fields = new Field[16];

    /// <summary>100 to 999.</summary>
    public int Status { get; set; }

    /// <summary>0 or 1: HTTP/1.0 or HTTP/1.1.</summary>
    public int MinorVersion { get; set; }

    public int ReasonStart { get; set; }
    public int ReasonLength { get; set; }

    public int FieldCount { get; private set; }
    public ReadOnlySpan<Field> Fields => _fields.AsSpan(0, FieldCount);

    /// <summary>The Content-Length, or -1.</summary>
    public long ContentLength { get; set; } = -1;

    /// <summary>A Transfer-Encoding was there; only <c>chunked</c> alone passes the parser.</summary>
    public bool IsChunked { get; set; }

    /// <summary>Content-Length and Transfer-Encoding were both there: the connection is not to be used again.</summary>
    public bool HasBothFramings { get; set; }

    /// <summary>The Connection field says <c>close</c>.</summary>
    public bool ConnectionClose { get; set; }

    /// <summary>The Connection field says <c>keep-alive</c> (which HTTP/1.0 needs).</summary>
    public bool ConnectionKeepAlive { get; set; }

    /// <summary>The Connection field names other fields, which are hop-by-hop then (RFC 9110 section 7.6.1).</summary>
    public bool ConnectionNamesFields { get; set; }

    /// <summary>Seconds of <c>Keep-Alive: timeout=</c>, or -1.</summary>
    public int KeepAliveSeconds { get; set; } = -1;

    /// <summary>1xx other than 101: another head follows.</summary>
    public bool IsInterim => Status < 200 && Status != 101;

    public void Add(in Field field)
    {
        if (FieldCount == _fields.Length) Array.Resize(ref _fields, _fields.Length * 2);
        _fields[FieldCount++] = field;
    }

    public void Clear()
    {
        Status = MinorVersion = ReasonStart = ReasonLength = FieldCount = 0;
        ContentLength = KeepAliveSeconds = -1;
        IsChunked = HasBothFramings = ConnectionClose = ConnectionKeepAlive = ConnectionNamesFields = false;
    }
}
