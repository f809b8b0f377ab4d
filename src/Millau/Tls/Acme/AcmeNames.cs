using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Millau.Discovery;

namespace Millau.Tls.Acme;

/// <summary>The names of one service that certificates are to be had for.</summary>
/// <param name="Names">Sorted, each of them in one service only.</param>
internal sealed record ServiceNames(string Service, ImmutableArray<string> Names);

/// <summary>Which hosts of which services a public CA can issue for.</summary>
internal static class AcmeNames
{
    /// <summary>Names that lead nowhere in the public DNS (RFC 6761, 6762, 8375, 9476 and ICANN's for private use).</summary>
    private static readonly FrozenSet<string> Private =
        new[] { "local", "localhost", "internal", "test", "example", "invalid" }.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>Profiles of Let's Encrypt whose certificates have fewer names than its others.</summary>
    private static readonly FrozenSet<string> SmallProfiles = new[] { "tlsserver", "shortlived" }.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>How many names fit in one certificate.</summary>
    public static int MostNames(string? profile) => profile is not null && SmallProfiles.Contains(profile) ? 25 : 100;

    /// <summary>
    /// The names of all services that are routed, scaled to nothing too. A name of several services counts for the first.
    /// </summary>
    public static ImmutableArray<ServiceNames> Of(ServiceCatalog catalog)
    {
        var taken = new HashSet<string>(StringComparer.Ordinal);
        var result = ImmutableArray.CreateBuilder<ServiceNames>();
        foreach (var service in catalog.Services.Where(s => !s.IsRemoved).OrderBy(s => s.Name, StringComparer.Ordinal))
        {
            var names = service.Hosts.Where(h => IsPublic(h) && taken.Add(h)).Order(StringComparer.Ordinal).ToImmutableArray();
            if (!names.IsEmpty) result.Add(new ServiceNames(service.Name, names));
        }
        return result.DrainToImmutable();
    }

    /// <summary>Whether a host is a name of the public DNS.</summary>
    /// <param name="host">In the form of <see cref="Routing.HostName.Normalize"/>.</param>
    public static bool IsPublic(string host)
    {
        var labels = host.Split('.');
        if (labels.Length < 2 || host.Length > 253 || !labels.All(IsLabel) || IPAddress.TryParse(host, out _)) return false;
        var top = labels[^1];
        // No top-level domain is a number; what ends with one is an address, or a slip in one.
        return !top.All(char.IsAsciiDigit) && !Private.Contains(top)
            && host != "home.arpa" && !host.EndsWith(".home.arpa", StringComparison.Ordinal);
    }

    private static bool IsLabel(string label) =>
        label.Length is > 0 and <= 63 && label[0] != '-' && label[^1] != '-'
        && label.All(c => char.IsAsciiLetterOrDigit(c) || c == '-');
}
