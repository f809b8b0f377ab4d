using System.Buffers.Text;
using System.Text;

namespace Millau.Http1;

/// <summary>What the parser says of the bytes so far.</summary>
internal enum ParseStatus
{
    /// <summary>More bytes are needed.</summary>
    Incomplete,

    /// <summary>The head is complete.</summary>
    Complete,

    /// <summary>No HTTP/1 response head: the connection is of no use any more.</summary>
    Invalid,
}

/// <summary>
/// Parses a response head (RFC 9112 sections 2, 4, 5 and 6) strictly: what two readers could understand differently
/// is refused. Resumes at the last complete line when more bytes have come, so a head that dribbles in costs no
/// more than one that comes whole. Holds no buffer: each call is given all bytes of the head so far, at the same
/// offsets.
/// </summary>
internal struct ResponseParser
{
    /// <summary>Longest head in bytes.</summary>
    public const int MaxHeadBytes = 32 * 1024;

    /// <summary>Most header fields.</summary>
    public const int MaxFields = 200;

    private int _position;
    private bool _statusLineDone;

    /// <summary>Bytes of the head, after <see cref="ParseStatus.Complete"/>.</summary>
    public readonly int HeadLength => _position;

    /// <summary>Goes on where the last call stopped.</summary>
    /// <param name="buffer">All bytes from the first one of the head.</param>
    /// <param name="head">Filled bit by bit; must be clear at the first call.</param>
    public ParseStatus Parse(ReadOnlySpan<byte> buffer, ResponseHead head)
    {
        if (!_statusLineDone)
        {
            if (ReadStatusLine(buffer, head) is var status and not ParseStatus.Complete) return status;
        }
        else if (!buffer[_position..].Contains((byte)'\n'))
        {
            // A line that dribbles in is not read again from its start with each byte.
            return CheckLength(buffer.Length);
        }
        while (true)
        {
            var rest = buffer[_position..];
            var length = FieldLine.TryRead(rest, _position, out var field);
            if (length == 0) return EndOrFault(rest, head);
            if (_position + length > MaxHeadBytes || head.FieldCount == MaxFields || !Take(field, buffer, head)) return ParseStatus.Invalid;
            _position += length;
        }
    }

    private ParseStatus ReadStatusLine(ReadOnlySpan<byte> buffer, ResponseHead head)
    {
        if (!StartsAsHttp1(buffer)) return ParseStatus.Invalid;
        var lineFeed = buffer.IndexOf((byte)'\n');
        if (lineFeed < 0) return CheckLength(buffer.Length);
        if (lineFeed == 0 || buffer[lineFeed - 1] != '\r' || !ParseStatusLine(buffer[..(lineFeed - 1)], head)) return ParseStatus.Invalid;
        _position = lineFeed + 1;
        _statusLineDone = true;
        return _position > MaxHeadBytes ? ParseStatus.Invalid : ParseStatus.Complete;
    }

    // What is no field line: the empty one, a part of one, or a wrong one.
    private ParseStatus EndOrFault(ReadOnlySpan<byte> rest, ResponseHead head)
    {
        if (!rest.StartsWith("\r\n"u8))
            return FieldLine.FaultOf(rest) == FieldFault.Incomplete ? CheckLength(_position + rest.Length) : ParseStatus.Invalid;
        _position += 2;
        if (_position > MaxHeadBytes) return ParseStatus.Invalid;
        // RFC 9112 section 6.3: Transfer-Encoding overrides Content-Length, which must not go on.
        if (head.IsChunked && head.ContentLength >= 0)
        {
            head.HasBothFramings = true;
            head.ContentLength = -1;
        }
        return ParseStatus.Complete;
    }

    private static ParseStatus CheckLength(int length) => length > MaxHeadBytes ? ParseStatus.Invalid : ParseStatus.Incomplete;

    private static bool StartsAsHttp1(ReadOnlySpan<byte> buffer)
    {
        var start = "HTTP/1."u8;
        return buffer.Length < start.Length ? start.StartsWith(buffer) : buffer.StartsWith(start);
    }

    // HTTP/1.x SP 3DIGIT SP [reason]. A missing space after the code is common and harmless.
    private static bool ParseStatusLine(ReadOnlySpan<byte> line, ResponseHead head)
    {
        if (line.Length < 12 || line[8] != ' ') return false;
        if (line[7] is not ((byte)'0' or (byte)'1')) return false;
        if (!IsDigit(line[9]) || !IsDigit(line[10]) || !IsDigit(line[11])) return false;
        if (line.Length > 12 && line[12] != ' ') return false;
        head.MinorVersion = line[7] - '0';
        head.Status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
        if (head.Status < 100) return false;
        if (line.Length > 13)
        {
            if (!HttpChars.IsFieldValue(line[13..])) return false;
            head.ReasonStart = 13;
            head.ReasonLength = line.Length - 13;
        }
        return true;
    }

    private static bool Take(in Field field, ReadOnlySpan<byte> buffer, ResponseHead head)
    {
        switch (field.Known)
        {
            case FieldName.Connection:
                ReadConnection(field.Value(buffer), head);
                break;
            case FieldName.KeepAlive:
                head.KeepAliveSeconds = ReadKeepAlive(field.Value(buffer));
                break;
            case FieldName.ContentLength:
                if (!ReadContentLength(field.Value(buffer), head)) return false;
                break;
            case FieldName.TransferEncoding:
                // Any other coding, or a second one, leaves the length of the body in doubt.
                if (head.IsChunked || !HttpChars.EqualsIgnoreCase(field.Value(buffer), "chunked"u8)) return false;
                head.IsChunked = true;
                break;
        }
        head.Add(field);
        return true;
    }

    // RFC 9112 section 6.3: a value that is no number, or two that differ, cannot be mended.
    private static bool ReadContentLength(ReadOnlySpan<byte> value, ResponseHead head)
    {
        if (value.IsEmpty || value.Length > 18 || value.ContainsAnyExceptInRange((byte)'0', (byte)'9')) return false;
        if (!Utf8Parser.TryParse(value, out long length, out var used) || used != value.Length) return false;
        if (head.ContentLength >= 0 && head.ContentLength != length) return false;
        head.ContentLength = length;
        return true;
    }

    private static void ReadConnection(ReadOnlySpan<byte> value, ResponseHead head)
    {
        // Nearly always all there is.
        if (HttpChars.EqualsIgnoreCase(value, "keep-alive"u8))
        {
            head.ConnectionKeepAlive = true;
            return;
        }
        foreach (var range in value.Split((byte)','))
        {
            var token = Trim(value[range]);
            if (token.IsEmpty) continue;
            if (Ascii.EqualsIgnoreCase(token, "close"u8)) head.ConnectionClose = true;
            else if (Ascii.EqualsIgnoreCase(token, "keep-alive"u8)) head.ConnectionKeepAlive = true;
            else if (!Ascii.EqualsIgnoreCase(token, "upgrade"u8)) head.ConnectionNamesFields = true;
        }
    }

    private static int ReadKeepAlive(ReadOnlySpan<byte> value)
    {
        foreach (var range in value.Split((byte)','))
        {
            var part = Trim(value[range]);
            if (part.Length > 8 && Ascii.EqualsIgnoreCase(part[..8], "timeout="u8)
                && Utf8Parser.TryParse(part[8..], out int seconds, out _) && seconds >= 0)
                return seconds;
        }
        return -1;
    }

    private static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> text) => text.Trim(" \t"u8);

    private static bool IsDigit(byte value) => value is >= (byte)'0' and <= (byte)'9';
}
