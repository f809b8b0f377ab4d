using System.Collections.Frozen;
using System.Text;

namespace Millau.Http1;

/// <summary>
/// Fields behind a body (RFC 9110 section 6.5). What comes there was not seen when the message was routed, framed and
/// authorized, so whatever has a say in these is dropped; a section that does not fit the grammar is refused.
/// </summary>
internal static class Trailers
{
    // Besides what ends here anyway: RFC 9110 section 6.5.1 names framing, routing, request modifiers, authentication, and what
    // says how a body or a response is to be understood.
    private static readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> Forbidden = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "Authorization", "Cookie", "Set-Cookie", "WWW-Authenticate", "Cache-Control", "Pragma", "Max-Forwards", "Range", "If-Match",
        "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Content-Encoding", "Content-Type", "Content-Range",
        "Content-Location", "Age", "Date", "Expires", "Location", "Retry-After", "Vary", "Idempotency-Key", "Forwarded", "Via")
        .GetAlternateLookup<ReadOnlySpan<char>>();

    // Of the names above, and one more.
    private const int LongestForbidden = 20;

    /// <summary>A field of this name may stand behind a body, in either direction.</summary>
    public static bool MayPass(ReadOnlySpan<byte> name)
    {
        var field = FieldNames.Of(name);
        if (HeaderRules.ForRequest(field) != HeaderRule.Pass || HeaderRules.ForResponse(field) != HeaderRule.Pass) return false;
        Span<char> text = stackalloc char[LongestForbidden];
        if (name.Length > text.Length) return true;
        return !Forbidden.Contains(text[..Encoding.Latin1.GetChars(name, text)]);
    }

    /// <summary>The names of a <c>Trailer</c> field that may pass (RFC 9110 section 6.6.2), as the value of one; null for none.</summary>
    public static string? Announced(ReadOnlySpan<byte> value)
    {
        string? names = null;
        foreach (var range in value.Split((byte)','))
        {
            var name = value[range].Trim(" \t"u8);
            if (!HttpChars.IsToken(name) || !MayPass(name)) continue;
            var text = Encoding.Latin1.GetString(name);
            names = names is null ? text : $"{names}, {text}";
        }
        return names;
    }

    /// <summary>Reads a trailer section.</summary>
    /// <param name="section">Its lines without the empty one, each with its LF alone.</param>
    /// <param name="fields">Those that may pass; null for none.</param>
    /// <returns>False if it does not fit the grammar.</returns>
    public static bool TryRead(ReadOnlySpan<byte> section, out List<(string Name, string Value)>? fields)
    {
        fields = null;
        while (!section.IsEmpty)
        {
            var end = section.IndexOf((byte)'\n');
            var line = section[..end];
            section = section[(end + 1)..];
            var colon = line.IndexOf((byte)':');
            if (colon < 0 || !HttpChars.IsToken(line[..colon])) return false;
            var value = line[(colon + 1)..].Trim(" \t"u8);
            if (!HttpChars.IsFieldValue(value)) return false;
            if (MayPass(line[..colon]))
                (fields ??= []).Add((Encoding.Latin1.GetString(line[..colon]), Encoding.Latin1.GetString(value)));
        }
        return true;
    }
}
