namespace Millau.Http1;

/// <summary>What becomes of a header field that arrives, by its name (RFC 9110 section 7.6.1 and the trust rules).</summary>
internal enum HeaderRule : byte
{
    /// <summary>Passed on as it came.</summary>
    Pass,

    /// <summary>Hop-by-hop: ends here.</summary>
    HopByHop,

    /// <summary>Framing or addressing: written anew from what was parsed, never copied.</summary>
    Regenerated,

    /// <summary>Says who the client is: only Millau's own value is passed on.</summary>
    Trust,
}

/// <summary>Which fields go on to the other side.</summary>
internal static class HeaderRules
{
    /// <summary>The rule for a field of a client's request.</summary>
    public static HeaderRule ForRequest(ReadOnlySpan<char> name)
    {
        switch (name.Length)
        {
            case 2 when Is(name, "TE"):
                return HeaderRule.Regenerated;
            case 4 when Is(name, "Host"):
                return HeaderRule.Regenerated;
            case 6 when Is(name, "Expect"):
                return HeaderRule.Regenerated;
            case 7 when Is(name, "Upgrade") || Is(name, "Trailer"):
                return HeaderRule.HopByHop;
            case 9 when IsTrust(name, "X-Real-IP"):
                return HeaderRule.Trust;
            case 10 when Is(name, "Connection") || Is(name, "Keep-Alive"):
                return HeaderRule.HopByHop;
            case 11 when IsTrust(name, "Client-Cert"):
                return HeaderRule.Trust;
            case 14 when Is(name, "Content-Length"):
                return HeaderRule.Regenerated;
            case 14 when Is(name, "HTTP2-Settings"):
                return HeaderRule.HopByHop;
            case 15 when IsTrust(name, "X-Forwarded-For"):
                return HeaderRule.Trust;
            case 16 when IsTrust(name, "X-Forwarded-Host"):
                return HeaderRule.Trust;
            case 16 when Is(name, "Proxy-Connection"):
                return HeaderRule.HopByHop;
            case 17 when IsTrust(name, "X-Forwarded-Proto") || IsTrust(name, "Client-Cert-Chain"):
                return HeaderRule.Trust;
            case 17 when Is(name, "Transfer-Encoding"):
                return HeaderRule.Regenerated;
            case 19 when Is(name, "Proxy-Authorization"):
                return HeaderRule.HopByHop;
            default:
                return HeaderRule.Pass;
        }
    }

    /// <summary>The rule for a field of an instance's response.</summary>
    public static HeaderRule ForResponse(ReadOnlySpan<char> name)
    {
        switch (name.Length)
        {
            case 2 when Is(name, "TE"):
                return HeaderRule.HopByHop;
            case 7 when Is(name, "Upgrade") || Is(name, "Trailer"):
                return HeaderRule.HopByHop;
            case 10 when Is(name, "Connection") || Is(name, "Keep-Alive"):
                return HeaderRule.HopByHop;
            case 14 when Is(name, "Content-Length"):
                return HeaderRule.Regenerated;
            case 16 when Is(name, "Proxy-Connection"):
                return HeaderRule.HopByHop;
            case 17 when Is(name, "Transfer-Encoding"):
                return HeaderRule.Regenerated;
            case 18 when Is(name, "Proxy-Authenticate"):
                return HeaderRule.HopByHop;
            default:
                return HeaderRule.Pass;
        }
    }

    /// <summary>Whether a comma-separated Connection value names this field.</summary>
    public static bool Names(ReadOnlySpan<char> connection, ReadOnlySpan<char> field)
    {
        foreach (var range in connection.Split(','))
            if (Is(connection[range].Trim(" \t"), field)) return true;
        return false;
    }

    private static bool Is(ReadOnlySpan<char> name, ReadOnlySpan<char> expected) =>
        name.Equals(expected, StringComparison.OrdinalIgnoreCase);

    // CGI and its heirs turn both "-" and "_" into "_", so X_Real_IP would be read as X-Real-IP.
    private static bool IsTrust(ReadOnlySpan<char> name, ReadOnlySpan<char> expected)
    {
        for (var i = 0; i < expected.Length; i++)
        {
            var c = name[i] == '_' ? '-' : name[i];
            if (char.ToLowerInvariant(c) != char.ToLowerInvariant(expected[i])) return false;
        }
        return true;
    }
}
