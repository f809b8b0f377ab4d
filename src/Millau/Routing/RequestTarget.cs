using System.Buffers;

namespace Millau.Routing;

/// <summary>
/// A request target (RFC 9112 section 3.2) as a client wrote it, in the two forms that forwarding needs: what is sent to
/// an instance, and the path that routes are compared with. Both stem from one reading, so that an instance never sees
/// another path than the one that was matched.
/// </summary>
internal readonly struct RequestTarget
{
    private const string NotOriginForm = "the request target must be a path that starts with '/'";
    private const string BadCharacter = "the request target has a character that is not allowed in one";
    private const string BadAuthority = "the request target names no host, or a user";
    private const string NullCharacter = "the path has an encoded NUL";
    private const string HiddenDotSegment = "the path has a dot segment behind an encoded separator";

    /// <summary>Visible ASCII, less <c>#</c>, which ends a target for some, and <c>\</c>, which is a <c>/</c> for some.</summary>
    private static readonly SearchValues<char> Allowed = SearchValues.Create(AllowedCharacters());

    /// <summary>What neither ends a path nor stands for something else in it.</summary>
    private static readonly SearchValues<char> Plain = SearchValues.Create(AllowedCharacters().Replace("%", "").Replace("?", ""));

    private RequestTarget(ReadOnlyMemory<char> sent, ReadOnlyMemory<char> path, ReadOnlyMemory<char> authority)
    {
        Sent = sent;
        Path = path;
        Authority = authority;
    }

    /// <summary>
    /// What goes to the instance: path and query with dot segments resolved and every other byte as written, or
    /// <c>*</c>. Visible ASCII.
    /// </summary>
    public ReadOnlyMemory<char> Sent { get; }

    /// <summary>Percent-decoded, without the query; for <see cref="RouteTable.Match"/>. <c>/</c> for the target <c>*</c>.</summary>
    public ReadOnlyMemory<char> Path { get; }

    /// <summary>
    /// Host and port of a target in absolute form, as written; else empty. The caller compares it with <c>Host</c>.
    /// </summary>
    public ReadOnlyMemory<char> Authority { get; }

    /// <summary>Whether the target is <c>*</c>, which only OPTIONS may have.</summary>
    public bool IsAsterisk => Sent.Span is "*";

    /// <summary>
    /// Reads a target. Allocates nothing if its path has neither an escape nor a segment that starts with a dot.
    /// </summary>
    /// <param name="raw">The target as the client wrote it.</param>
    /// <param name="target">Slices of <paramref name="raw"/> where they can be.</param>
    /// <param name="reason">Why the request is to be refused with 400, in one line without the client's bytes; else null.</param>
    public static bool TryParse(string raw, out RequestTarget target, out string? reason)
    {
        reason = null;
        // Nearly all are this.
        if (raw is ['/', ..] && !raw.AsSpan().ContainsAnyExcept(Plain) && !MayHaveDotSegment(raw))
        {
            target = new RequestTarget(raw.AsMemory(), raw.AsMemory(), default);
            return true;
        }

        target = default;
        if (raw.AsSpan().ContainsAnyExcept(Allowed))
        {
            reason = BadCharacter;
            return false;
        }

        if (raw == "*")
        {
            target = new RequestTarget(raw.AsMemory(), "/".AsMemory(), default);
            return true;
        }

        var sent = raw.AsMemory();
        ReadOnlyMemory<char> authority = default;
        if (raw is not ['/', ..] && !TrySplitAbsolute(raw, out authority, out sent, out reason))
            return false;

        var query = sent.Span.IndexOf('?');
        var written = query < 0 ? sent : sent[..query];
        if (!written.Span.Contains('%') && !MayHaveDotSegment(written.Span))
        {
            target = new RequestTarget(sent, written, authority);
            return true;
        }

        return TryResolve(sent, written, authority, out target, out reason);
    }

    private static bool MayHaveDotSegment(ReadOnlySpan<char> path)
    {
        for (var dot = path.IndexOf('.'); dot >= 0; dot = path.IndexOf('.'))
        {
            if (dot > 0 && path[dot - 1] == '/') return true;
            path = path[(dot + 1)..];
        }
        return false;
    }

    private static bool TryResolve(
        ReadOnlyMemory<char> sent,
        ReadOnlyMemory<char> written,
        ReadOnlyMemory<char> authority,
        out RequestTarget target,
        out string? reason)
    {
        target = default;
        reason = null;
        var resolved = new char[sent.Length];
        var length = DotSegments.Resolve(written.Span, resolved);
        var path = PercentEncoding.Decode(resolved.AsSpan(0, length));
        if (path.Contains('\0'))
            reason = NullCharacter;
        else if (DotSegments.Contains(path))
            reason = HiddenDotSegment;
        if (reason is not null)
            return false;

        var query = sent[written.Length..];
        query.Span.CopyTo(resolved.AsSpan(length));
        target = new RequestTarget(resolved.AsMemory(0, length + query.Length), path.AsMemory(), authority);
        return true;
    }

    /// <summary>Splits <c>http://host/path?query</c>; an empty path is <c>/</c> (RFC 9112 section 3.2.1).</summary>
    private static bool TrySplitAbsolute(
        string raw, out ReadOnlyMemory<char> authority, out ReadOnlyMemory<char> sent, out string? reason)
    {
        authority = sent = default;
        reason = NotOriginForm;
        var scheme = raw.StartsWith("http://", StringComparison.OrdinalIgnoreCase) ? "http://".Length
            : raw.StartsWith("https://", StringComparison.OrdinalIgnoreCase) ? "https://".Length
            : 0;
        if (scheme == 0)
            return false;

        var rest = raw.AsMemory(scheme);
        var end = rest.Span.IndexOfAny('/', '?');
        authority = end < 0 ? rest : rest[..end];
        if (authority.IsEmpty || authority.Span.Contains('@'))
        {
            reason = BadAuthority;
            return false;
        }

        var after = end < 0 ? default : rest[end..];
        sent = after.Span is ['/', ..] ? after : string.Concat("/", after.Span).AsMemory();
        reason = null;
        return true;
    }

    private static string AllowedCharacters() =>
        string.Concat(Enumerable.Range(0x21, 0x7E - 0x20).Select(c => (char)c).Where(c => c is not ('#' or '\\')));
}
