namespace Millau.Routing;

/// <summary>Host names as routes compare them.</summary>
internal static class HostName
{
    /// <summary>Lower case, without port and trailing dot.</summary>
    public static string Normalize(string host) => host.ToLowerInvariant();
}
