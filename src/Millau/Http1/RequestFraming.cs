using System.Text;

namespace Millau.Http1;

/// <summary>How the length of a request's body is told (RFC 9112 section 6): what leaves it in any doubt is refused.</summary>
/// <param name="Length">Bytes; -1 if not known beforehand, or if there is no body.</param>
/// <param name="IsChunked">It comes in chunks.</param>
internal readonly record struct RequestFraming(long Length, bool IsChunked)
{
    /// <summary>There is a body that may not be empty.</summary>
    public bool HasBody => IsChunked || Length > 0;

    /// <summary>Null if the framing is clear.</summary>
    public static HeadRefusal? Read(RequestFields fields, int minorVersion, out RequestFraming framing)
    {
        framing = new(-1, false);
        if (fields.Has(FieldName.ContentLength))
        {
            if (fields.CountOf(FieldName.ContentLength) > 1 || !TryReadLength(fields.First(FieldName.ContentLength), out var length))
                return new(400, "Content-Length is not one number");
            framing = new(length, false);
        }
        if (!fields.Has(FieldName.TransferEncoding)) return null;
        // Section 6.1: both framings, or a coding that is not understood, make the length of the body doubtful.
        if (framing.Length >= 0) return new(400, "Content-Length and Transfer-Encoding together");
        if (minorVersion == 0) return new(400, "Transfer-Encoding in HTTP/1.0");
        var coding = fields.First(FieldName.TransferEncoding);
        if (fields.CountOf(FieldName.TransferEncoding) > 1 || NamesChunkedTwice(coding)) return new(400, "more than one Transfer-Encoding");
        if (!Ascii.EqualsIgnoreCase(coding, "chunked"u8)) return new(501, "Transfer-Encoding other than chunked is not supported");
        framing = new(-1, true);
        return null;
    }

    // 1*DIGIT, and no more than a long holds.
    private static bool TryReadLength(ReadOnlySpan<byte> value, out long length)
    {
        length = 0;
        if (value.IsEmpty || value.Length > 18) return false;
        foreach (var digit in value)
        {
            if (digit is < (byte)'0' or > (byte)'9') return false;
            length = length * 10 + (digit - '0');
        }
        return true;
    }

    private static bool NamesChunkedTwice(ReadOnlySpan<byte> codings)
    {
        var count = 0;
        foreach (var range in codings.Split((byte)','))
            if (Ascii.EqualsIgnoreCase(codings[range].Trim(" \t"u8), "chunked"u8)) count++;
        return count > 1;
    }
}
