using System.Text;
using Millau.Http1;
using Millau.Http2;

namespace Millau.Ingress.Http2;

/// <summary>What a header block was found to be.</summary>
internal enum HeadVerdict : byte
{
    Good,

    /// <summary>No request of HTTP/2 (RFC 9113 section 8.1.1): the stream is reset.</summary>
    Malformed,

    /// <summary>More than is taken: 431.</summary>
    TooLarge,

    /// <summary>It cannot be decoded: the connection ends.</summary>
    Broken,
}

/// <summary>What a request says of itself beside its fields.</summary>
internal struct Http2RequestHead
{
    public string Method;
    public string Target;
    public string? Protocol;
    public long ContentLength;
    public bool ExpectsContinue;
}

/// <summary>
/// Reads the header block of a request strictly (RFC 9113 section 8.2 and 8.3): what is taken here goes on as HTTP/1.1, where a stray
/// character is another field, or another request. A block is always read to its end, for the sake of the next one.
/// </summary>
internal ref struct Http2HeadReader
{
    private readonly RequestFields _fields;
    private readonly bool _secure;
    private readonly string _lastMethod;
    private readonly string _lastTarget;
    private Seen _seen;
    private bool _regular;
    private int _count;
    private string? _method;
    private string? _path;
    private string? _protocol;
    private string? _authority;
    private long _length = -1;

    [Flags]
    private enum Seen : byte
    {
        None = 0,
        Method = 1,
        Scheme = 2,
        Path = 4,
        Authority = 8,
        Protocol = 16,
    }

    /// <param name="fields">Gets the fields.</param>
    /// <param name="secure">The scheme must be <c>https</c>; else <c>http</c>.</param>
    /// <param name="lastMethod">A string that is used again if the method is the same.</param>
    /// <param name="lastTarget">The same for the path.</param>
    public Http2HeadReader(RequestFields fields, bool secure, string lastMethod, string lastTarget)
    {
        _fields = fields;
        _secure = secure;
        _lastMethod = lastMethod;
        _lastTarget = lastTarget;
    }

    /// <summary>Reads a block.</summary>
    /// <param name="block">At its beginning; at its end then, or at its error.</param>
    /// <param name="head">What it says, if it is good.</param>
    public HeadVerdict Read(ref HpackReader block, out Http2RequestHead head)
    {
        head = default;
        var good = true;
        while (block.TryNext(out var known, out var name, out var value))
        {
            // Nothing is kept of what is refused anyway.
            if (!good || block.ListSize > Http2Limits.HeaderList || _count > Http2Limits.HeaderFields) continue;
            good = !name.IsEmpty && (name[0] == ':' ? TakePseudo(known, name, value) : TakeField(known, name, value.Trim(" \t"u8)));
        }
        if (block.Error != ErrorCode.NoError) return HeadVerdict.Broken;
        if (block.ListSize > Http2Limits.HeaderList || _count > Http2Limits.HeaderFields) return HeadVerdict.TooLarge;
        if (!good || !IsComplete()) return HeadVerdict.Malformed;
        head = new Http2RequestHead
        {
            Method = _method!,
            Target = _path ?? _authority ?? "",
            Protocol = _protocol,
            ContentLength = _length,
            ExpectsContinue = _fields.Has(FieldName.Expect)
                && Ascii.EqualsIgnoreCase(_fields.First(FieldName.Expect), "100-continue"u8),
        };
        return HeadVerdict.Good;
    }

    /// <summary>Reads a block of which nothing is wanted. False if it cannot be decoded.</summary>
    public static bool TrySkip(ref HpackReader block)
    {
        while (block.TryNext(out _, out _, out _))
        {
            // The table may change with each.
        }
        return block.Error == ErrorCode.NoError;
    }

    /// <summary>Reads the fields behind a body (RFC 9113 section 8.1): no pseudo-header among them.</summary>
    /// <param name="block">As for <see cref="Read"/>.</param>
    /// <param name="trailers">Those that may pass; null for none.</param>
    public static HeadVerdict ReadTrailers(ref HpackReader block, out List<(string Name, string Value)>? trailers)
    {
        trailers = null;
        var good = true;
        var count = 0;
        while (block.TryNext(out var known, out var name, out var value))
        {
            good = good && (known != StaticName.None || IsName(name)) && !name.IsEmpty && name[0] != ':' && HttpChars.IsFieldValue(value)
                && block.ListSize <= Http2Limits.HeaderList && ++count <= Http2Limits.HeaderFields;
            if (good && Trailers.MayPass(name))
                (trailers ??= []).Add((Encoding.Latin1.GetString(name), Encoding.Latin1.GetString(value.Trim(" \t"u8))));
        }
        return block.Error != ErrorCode.NoError ? HeadVerdict.Broken : good ? HeadVerdict.Good : HeadVerdict.Malformed;
    }

    // RFC 9113 section 8.2.1: no name has upper case.
    private static bool IsName(ReadOnlySpan<byte> name) => HttpChars.IsToken(name) && !name.ContainsAnyInRange((byte)'A', (byte)'Z');

    // RFC 9113 section 8.3: before all other fields, each once, and no unknown ones.
    private bool TakePseudo(StaticName known, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var which = known switch
        {
            StaticName.Method => Seen.Method,
            StaticName.Scheme => Seen.Scheme,
            StaticName.Path => Seen.Path,
            StaticName.Authority => Seen.Authority,
            StaticName.None when name.SequenceEqual(":protocol"u8) => Seen.Protocol,
            _ => Seen.None,
        };
        if (which == Seen.None || _regular || (_seen & which) != 0 || !HttpChars.IsFieldValue(value)) return false;
        _seen |= which;
        switch (which)
        {
            case Seen.Method:
                _method = Method(value);
                return HttpChars.IsToken(value);
            case Seen.Scheme:
                return Ascii.EqualsIgnoreCase(value, _secure ? "https"u8 : "http"u8);
            case Seen.Path:
                _path = Ascii.Equals(value, _lastTarget) ? _lastTarget : value.SequenceEqual("/"u8) ? "/" : Encoding.Latin1.GetString(value);
                return !value.IsEmpty;
            case Seen.Authority:
                _fields.Add(FieldName.Host, "Host"u8, value);
                return true;
            default:
                _protocol = Encoding.Latin1.GetString(value);
                return HttpChars.IsToken(value);
        }
    }

    private bool TakeField(StaticName known, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        _regular = true;
        _count++;
        if (known == StaticName.None && !IsName(name)) return false;
        if (!HttpChars.IsFieldValue(value)) return false;
        var usual = Http2FieldNames.Usual(known);
        if (usual.IsEmpty) usual = Http2FieldNames.Usual(name);
        var field = FieldNames.Of(name);
        switch (field)
        {
            // RFC 9113 section 8.3.1: the authority says it.
            case FieldName.Host when (_seen & Seen.Authority) != 0:
                return true;
            // Section 8.2.2: the one field of a connection that may come, with this value alone.
            case FieldName.Te when !Ascii.EqualsIgnoreCase(value, "trailers"u8):
                return false;
            case FieldName.ContentLength when _length >= 0 || !TryReadLength(value, out _length):
                return false;
        }
        _fields.Add(field, usual, value);
        return true;
    }

    private bool IsComplete()
    {
        const Seen usual = Seen.Method | Seen.Scheme | Seen.Path;
        if ((_seen & Seen.Method) == 0) return false;
        // Section 8.3.1: no absolute form, and the asterisk for OPTIONS alone.
        if (_path is not null && _path[0] != '/' && !(_path == "*" && _method == "OPTIONS")) return false;
        // Section 8.5, RFC 8441 section 4.
        if (_method != "CONNECT") return (_seen & (usual | Seen.Protocol)) == usual;
        if ((_seen & Seen.Authority) == 0) return false;
        if ((_seen & Seen.Protocol) != 0) return (_seen & usual) == usual;
        _authority = _fields.Text(FieldName.Host);
        return (_seen & (Seen.Scheme | Seen.Path)) == 0;
    }

    private readonly string Method(ReadOnlySpan<byte> value)
    {
        if (Ascii.Equals(value, _lastMethod)) return _lastMethod;
        return value.Length switch
        {
            3 when value.SequenceEqual("GET"u8) => "GET",
            3 when value.SequenceEqual("PUT"u8) => "PUT",
            4 when value.SequenceEqual("POST"u8) => "POST",
            4 when value.SequenceEqual("HEAD"u8) => "HEAD",
            5 when value.SequenceEqual("PATCH"u8) => "PATCH",
            6 when value.SequenceEqual("DELETE"u8) => "DELETE",
            7 when value.SequenceEqual("OPTIONS"u8) => "OPTIONS",
            7 when value.SequenceEqual("CONNECT"u8) => "CONNECT",
            _ => Encoding.Latin1.GetString(value),
        };
    }

    // Digits alone (RFC 9110 section 8.6).
    private static bool TryReadLength(ReadOnlySpan<byte> value, out long length)
    {
        length = 0;
        if (value.IsEmpty || value.Length > 18) return false;
        foreach (var c in value)
        {
            if (c is < (byte)'0' or > (byte)'9') return false;
            length = length * 10 + (c - '0');
        }
        return true;
    }
}
