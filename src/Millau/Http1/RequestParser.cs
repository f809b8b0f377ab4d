namespace Millau.Http1;

/// <summary>Why a request head is refused: the status for the client, and a line of text.</summary>
internal readonly record struct HeadRefusal(int Status, string Reason);

/// <summary>
/// Parses a request head (RFC 9112 sections 2, 3 and 5) strictly: what two readers could understand differently is refused.
/// Resumes at the last complete line when more bytes have come. Holds no buffer: each call is given all bytes of the head so
/// far, at the same offsets.
/// </summary>
internal struct RequestParser
{
    /// <summary>Longest request line in bytes, without its end.</summary>
    public const int MaxLineBytes = 8 * 1024;

    /// <summary>Longest header section in bytes.</summary>
    public const int MaxFieldBytes = 32 * 1024;

    /// <summary>Most header fields.</summary>
    public const int MaxFields = 100;

    private int _position;
    private int _fieldsStart;

    /// <summary>Bytes of the head, after <see cref="ParseStatus.Complete"/>.</summary>
    public readonly int HeadLength => _position;

    public int MethodStart { get; private set; }
    public int MethodLength { get; private set; }
    public int TargetStart { get; private set; }
    public int TargetLength { get; private set; }

    /// <summary>0 or 1: HTTP/1.0 or HTTP/1.1.</summary>
    public int MinorVersion { get; private set; }

    /// <summary>After <see cref="ParseStatus.Invalid"/>.</summary>
    public HeadRefusal Refusal { get; private set; }

    /// <summary>Goes on where the last call stopped.</summary>
    /// <param name="buffer">All bytes from the first one of the head.</param>
    /// <param name="fields">Get the places of the fields, bit by bit; must be empty at the first call.</param>
    public ParseStatus Parse(ReadOnlySpan<byte> buffer, RequestFields fields)
    {
        if (_fieldsStart == 0)
        {
            if (ReadRequestLine(buffer) is var status and not ParseStatus.Complete) return status;
        }
        else if (!buffer[_position..].Contains((byte)'\n'))
        {
            // A line that dribbles in is not read again from its start with each byte.
            return buffer.Length - _fieldsStart > MaxFieldBytes ? RefuseFields() : ParseStatus.Incomplete;
        }
        while (true)
        {
            var rest = buffer[_position..];
            var length = FieldLine.TryRead(rest, _position, out var field);
            if (length == 0) return EndOrFault(rest);
            if (_position + length - _fieldsStart > MaxFieldBytes) return RefuseFields();
            if (fields.Count == MaxFields) return Refuse(431, "too many header fields");
            fields.Add(field);
            _position += length;
        }
    }

    private ParseStatus ReadRequestLine(ReadOnlySpan<byte> buffer)
    {
        // RFC 9112 section 2.2: an empty line before a request is ignored, once.
        var start = buffer.StartsWith("\r\n"u8) ? 2 : 0;
        var rest = buffer[start..];
        var lineFeed = rest.IndexOf((byte)'\n');
        if ((lineFeed < 0 ? rest.Length : lineFeed) > MaxLineBytes + 1) return Refuse(414, "the request target is too long");
        if (lineFeed < 0) return ParseStatus.Incomplete;
        if (lineFeed == 0 || rest[lineFeed - 1] != '\r') return RefuseEnd();
        if (!ParseRequestLine(rest[..(lineFeed - 1)], start)) return ParseStatus.Invalid;
        _position = _fieldsStart = start + lineFeed + 1;
        return ParseStatus.Complete;
    }

    // What is no field line: the empty one, a part of one, or a wrong one.
    private ParseStatus EndOrFault(ReadOnlySpan<byte> rest)
    {
        var fault = FieldFault.Incomplete;
        var isEnd = rest.StartsWith("\r\n"u8);
        var length = isEnd ? 2 : rest.Length;
        if (!isEnd && (fault = FieldLine.FaultOf(rest)) != FieldFault.Incomplete) length = rest.IndexOf((byte)'\n') + 1;
        if (_position + length - _fieldsStart > MaxFieldBytes) return RefuseFields();
        if (isEnd)
        {
            _position += length;
            return ParseStatus.Complete;
        }
        return fault switch
        {
            FieldFault.Incomplete => ParseStatus.Incomplete,
            FieldFault.BadEnd => RefuseEnd(),
            FieldFault.NoColon => Refuse(400, "a header field without a colon"),
            FieldFault.BadName => Refuse(400, "a header field with a bad name"),
            _ => Refuse(400, "a header field has a character that is not allowed"),
        };
    }

    // method SP request-target SP HTTP/1.x
    private bool ParseRequestLine(ReadOnlySpan<byte> line, int start)
    {
        var space = line.IndexOf((byte)' ');
        if (space <= 0 || !HttpChars.IsToken(line[..space])) return RefuseLine(400, "no request line");
        MethodStart = start;
        MethodLength = space;
        var rest = line[(space + 1)..];
        space = rest.IndexOf((byte)' ');
        if (space <= 0) return RefuseLine(400, "no request line");
        TargetStart = start + MethodLength + 1;
        TargetLength = space;
        var version = rest[(space + 1)..];
        if (version.SequenceEqual("HTTP/1.1"u8)) MinorVersion = 1;
        else if (version.SequenceEqual("HTTP/1.0"u8)) MinorVersion = 0;
        else if (version.Length == 8 && version.StartsWith("HTTP/"u8) && IsDigit(version[5]) && version[6] == '.' && IsDigit(version[7]))
            return RefuseLine(505, "the version of HTTP is not supported");
        else return RefuseLine(400, "no version of HTTP");
        return true;
    }

    private ParseStatus RefuseFields() => Refuse(431, "the header fields are too long");

    // Bare LF and bare CR are where request smuggling begins.
    private ParseStatus RefuseEnd() => Refuse(400, "a line that does not end with CR LF");

    private ParseStatus Refuse(int status, string reason)
    {
        Refusal = new(status, reason);
        return ParseStatus.Invalid;
    }

    private bool RefuseLine(int status, string reason)
    {
        Refuse(status, reason);
        return false;
    }

    private static bool IsDigit(byte value) => value is >= (byte)'0' and <= (byte)'9';
}
