namespace Millau.Routing;

/// <summary>The segments <c>.</c> and <c>..</c> of a path, plain or percent-encoded (RFC 3986 sections 3.3, 6.2.2).</summary>
internal static class DotSegments
{
    private const string EncodedDot = "%2e";

    /// <summary>
    /// Whether a decoded path has a dot segment between separators. The backslash counts as one: what it is to a
    /// service cannot be known here.
    /// </summary>
    public static bool Contains(ReadOnlySpan<char> decodedPath)
    {
        foreach (var range in decodedPath.SplitAny('/', '\\'))
        {
            if (decodedPath[range] is "." or "..")
                return true;
        }

        return false;
    }

    /// <summary>
    /// Writes <paramref name="path"/>, which starts with <c>/</c>, to <paramref name="resolved"/> with its dot segments
    /// resolved (RFC 3986 section 5.2.4) and every other character as written.
    /// </summary>
    /// <param name="path">Percent-encoded.</param>
    /// <param name="resolved">At least as long as <paramref name="path"/>.</param>
    /// <returns>The characters written; at least one.</returns>
    public static int Resolve(ReadOnlySpan<char> path, Span<char> resolved)
    {
        var length = 0;
        while (!path.IsEmpty)
        {
            var end = path[1..].IndexOf('/') + 1;
            var isLast = end == 0;
            var segment = isLast ? path : path[..end];
            path = path[segment.Length..];

            switch (CountDots(segment[1..]))
            {
                case 1:
                    break;
                case 2:
                    length = Math.Max(0, resolved[..length].LastIndexOf('/'));
                    break;
                default:
                    segment.CopyTo(resolved[length..]);
                    length += segment.Length;
                    continue;
            }

            // A directory stays one: "/a/." is "/a/", not "/a".
            if (isLast)
                resolved[length++] = '/';
        }

        return length;
    }

    /// <summary>1 or 2 for a segment of only so many dots, else 0.</summary>
    private static int CountDots(ReadOnlySpan<char> segment)
    {
        var dots = 0;
        while (!segment.IsEmpty)
        {
            if (segment[0] == '.')
                segment = segment[1..];
            else if (segment.StartsWith(EncodedDot, StringComparison.OrdinalIgnoreCase))
                segment = segment[EncodedDot.Length..];
            else
                return 0;
            if (++dots > 2)
                return 0;
        }

        return dots;
    }
}
