using System.Runtime.CompilerServices;
using System.Text;

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
    public static HeaderRule ForRequest(FieldName field) => field switch
    {
        FieldName.Other => HeaderRule.Pass,
        FieldName.Te or FieldName.Host or FieldName.Expect or FieldName.ContentLength or FieldName.TransferEncoding => HeaderRule.Regenerated,
        FieldName.Upgrade or FieldName.Trailer or FieldName.Connection or FieldName.KeepAlive or FieldName.Http2Settings
            or FieldName.ProxyConnection or FieldName.ProxyAuthorization => HeaderRule.HopByHop,
        FieldName.XRealIp or FieldName.ClientCert or FieldName.ClientCertChain or FieldName.XForwardedFor or FieldName.XForwardedHost
            or FieldName.XForwardedProto or FieldName.TrustDouble => HeaderRule.Trust,
        _ => HeaderRule.Pass,
    };

    /// <summary>The rule for a field of an instance's response.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HeaderRule ForResponse(FieldName field) => field switch
    {
        FieldName.Other => HeaderRule.Pass,
        FieldName.ContentLength or FieldName.TransferEncoding => HeaderRule.Regenerated,
        FieldName.Te or FieldName.Upgrade or FieldName.Trailer or FieldName.Connection or FieldName.KeepAlive
            or FieldName.ProxyConnection or FieldName.ProxyAuthenticate => HeaderRule.HopByHop,
        _ => HeaderRule.Pass,
    };

    /// <summary>Whether a comma-separated list, such as the value of <c>Connection</c>, names something; compared without case.</summary>
    public static bool Names(ReadOnlySpan<byte> list, ReadOnlySpan<byte> member)
    {
        // It has no other member then, nearly always.
        if (list.Length <= member.Length) return Ascii.EqualsIgnoreCase(list, member);
        foreach (var range in list.Split((byte)','))
            if (Ascii.EqualsIgnoreCase(list[range].Trim(" \t"u8), member)) return true;
        return false;
    }
}
