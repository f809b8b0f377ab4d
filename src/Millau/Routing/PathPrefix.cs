namespace Millau.Routing;

/// <summary>A configured path, compared as a plain string prefix with the decoded path of a request.</summary>
internal static class PathPrefix
{
    /// <summary>What <see cref="IsValid"/> accepts, to be named in messages.</summary>
    public const string Allowed =
        "a path that starts with '/', without '?', '#', '\\', control characters and dot segments, up to 2048 characters";

    /// <summary>Far above any path in use; keeps the depth of the look-up tree bounded.</summary>
    private const int MaxLength = 2048;

    /// <summary>
    /// Whether a path as written in a configuration can be routed for. One with a dot segment cannot: these are
    /// resolved in requests before paths are compared.
    /// </summary>
    public static bool IsValid(string written)
    {
        if (written is not ['/', ..] || written.Length > MaxLength || written.AsSpan().ContainsAny('?', '#', '\\'))
            return false;

        var path = Decode(written);
        foreach (var c in path)
        {
            if (char.IsControl(c))
                return false;
        }

        return !DotSegments.Contains(path);
    }

    /// <summary>The form that is compared: percent-decoded once, as UTF-8.</summary>
    public static string Decode(string written) => PercentEncoding.Decode(written);
}
