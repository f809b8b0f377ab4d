using System.Buffers;
using System.Net;
using System.Net.Sockets;

namespace Millau.Routing;

/// <summary>
/// Host names as routes compare them: without port and trailing dot, whatever their case. An IPv6 address keeps its
/// brackets.
/// </summary>
internal static class HostName
{
    /// <summary>The configured name that stands for every host.</summary>
    public const string Any = "*";

    /// <summary>What <see cref="IsValid"/> accepts, to be named in messages.</summary>
    public const string Allowed =
        "a host name such as example.com (letters, digits, '-', '_' and '.'; not ASCII: its xn-- form), an IP address or *";

    /// <summary>RFC 1035 section 2.3.4, less the root's own byte and its length.</summary>
    private const int MaxLength = 253;

    private const int MaxLabelLength = 63;

    private static readonly SearchValues<char> LabelCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

    /// <summary>Lower case, without port and trailing dot.</summary>
    public static string Normalize(string host)
    {
        var bare = Bare(host);
        Span<char> lower = bare.Length <= 256 ? stackalloc char[bare.Length] : new char[bare.Length];
        return bare.ToLowerInvariant(lower) == host.Length && lower.SequenceEqual(host) ? host : new string(lower);
    }

    /// <summary>
    /// The part of a <c>Host</c> value that names the host: without port and one trailing dot, in the case as written.
    /// Meant for a value that was found to be well formed; of any other it gives some slice, which no route has.
    /// </summary>
    public static ReadOnlySpan<char> Bare(ReadOnlySpan<char> host)
    {
        if (host is ['[', ..])
        {
            var end = host.IndexOf(']');
            return end < 0 ? host : host[..(end + 1)];
        }

        var colon = host.IndexOf(':');
        if (colon >= 0)
            host = host[..colon];
        return host is [.., '.'] ? host[..^1] : host;
    }

    /// <summary>Whether a configured name can be routed for; a port and a trailing dot are allowed and ignored.</summary>
    public static bool IsValid(string host)
    {
        if (host == Any)
            return true;

        var bare = Bare(host);
        if (!IsPortOrNothing(host.AsSpan(bare.Length)))
            return false;
        if (bare is ['[', .. var address, ']'])
            return !address.Contains('%') && IPAddress.TryParse(address, out var ip)
                && ip.AddressFamily == AddressFamily.InterNetworkV6;
        if (bare.Length is 0 or > MaxLength)
            return false;

        foreach (var range in bare.Split('.'))
        {
            var label = bare[range];
            if (label.Length is 0 or > MaxLabelLength || label.ContainsAnyExcept(LabelCharacters)
                || label[0] == '-' || label[^1] == '-')
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsPortOrNothing(ReadOnlySpan<char> rest)
    {
        if (rest is ['.', ..])
            rest = rest[1..];
        return rest.IsEmpty
            || (rest[0] == ':' && rest.Length is > 1 and <= 6 && !rest[1..].ContainsAnyExceptInRange('0', '9')
                && int.Parse(rest[1..]) is > 0 and <= 65535);
    }
}
