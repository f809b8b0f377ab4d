using System.Collections.Immutable;
using Millau.Routing;

namespace Millau.Tls;

/// <summary>
/// Which certificate a handshake gets, by the name that the client asks for. Immutable; a look-up costs the same
/// whatever the number of certificates.
/// </summary>
internal sealed class CertificateTable
{
    private readonly Dictionary<string, TlsCertificate[]> _exact = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TlsCertificate[]> _wildcards = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TlsCertificate[]> _routed = new(StringComparer.Ordinal);
    private readonly ImmutableDictionary<string, TlsCertificate> _acme;

    /// <param name="labels">All certificates in labels.</param>
    /// <param name="routed">A host as configured, and the label certificate of a service that is routed for it.</param>
    /// <param name="acme">By host.</param>
    public CertificateTable(
        IReadOnlyCollection<TlsCertificate> labels,
        IReadOnlyCollection<(string Host, TlsCertificate Certificate)> routed,
        ImmutableDictionary<string, TlsCertificate> acme)
    {
        foreach (var certificate in labels)
        {
            foreach (var name in certificate.Names)
            {
                if (name.StartsWith("*.", StringComparison.Ordinal)) Add(_wildcards, name[2..], certificate);
                else Add(_exact, name, certificate);
            }
        }
        foreach (var (host, certificate) in routed) Add(_routed, host, certificate);
        _acme = acme;
    }

    /// <summary>
    /// In this order: a label certificate that covers the name, unexpired before expired, then the one that lasts
    /// longest; the label certificate of a service routed for it; an ACME certificate. Null if there is none.
    /// </summary>
    /// <param name="host">In the form of <see cref="HostName.Normalize"/>; empty if the client names none.</param>
    public TlsCertificate? Select(string host, DateTimeOffset now)
    {
        if (host.Length == 0) return null;
        return Covering(host, now) ?? Routed(host, now) ?? _acme.GetValueOrDefault(host);
    }

    /// <summary>The label certificate that covers a host; null if none does.</summary>
    public TlsCertificate? Covering(string host, DateTimeOffset now)
    {
        if (_exact.Count == 0 && _wildcards.Count == 0) return null;
        var exact = Best(_exact.GetValueOrDefault(host), now);
        var dot = host.IndexOf('.');
        if (dot <= 0 || !_wildcards.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(host.AsSpan(dot + 1), out var group))
            return exact;
        return Better(exact, Best(group, now), now);
    }

    /// <summary>As requests are routed: the host itself, its longest suffix of whole labels, then <c>*</c>.</summary>
    private TlsCertificate? Routed(string host, DateTimeOffset now)
    {
        if (_routed.Count == 0) return null;
        var byName = _routed.GetAlternateLookup<ReadOnlySpan<char>>();
        for (var rest = host.AsSpan(); ; rest = rest[(rest.IndexOf('.') + 1)..])
        {
            if (byName.TryGetValue(rest, out var group)) return Best(group, now);
            if (!rest.Contains('.')) break;
        }
        return Best(_routed.GetValueOrDefault(HostName.Any), now);
    }

    // Few cover one name, so looking at each is quicker than keeping them in an order that changes with time.
    private static TlsCertificate? Best(TlsCertificate[]? group, DateTimeOffset now)
    {
        TlsCertificate? best = null;
        foreach (var certificate in group ?? []) best = Better(best, certificate, now);
        return best;
    }

    private static TlsCertificate? Better(TlsCertificate? a, TlsCertificate? b, DateTimeOffset now)
    {
        if (a is null || b is null) return a ?? b;
        var (aValid, bValid) = (a.IsValidAt(now), b.IsValidAt(now));
        if (aValid != bValid) return aValid ? a : b;
        return b.NotAfter > a.NotAfter ? b : a;
    }

    private static void Add(Dictionary<string, TlsCertificate[]> groups, string name, TlsCertificate certificate)
    {
        var group = groups.GetValueOrDefault(name) ?? [];
        if (!group.Contains(certificate)) groups[name] = [.. group, certificate];
    }
}
