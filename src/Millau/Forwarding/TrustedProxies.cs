using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Millau.Http1;

namespace Millau.Forwarding;

/// <summary>
/// The peers that are believed when they say for whom they speak: proxies before Millau. Off unless somebody names them.
/// </summary>
internal sealed class TrustedProxies(ImmutableArray<IPNetwork> networks)
{
    public const string Allowed = "addresses or networks separated by spaces, such as 10.0.0.0/8 192.0.2.7 2001:db8::/32";

    // A chain is as long as the proxies on the way; more is noise.
    private const int MaxHops = 32;

    /// <summary>Reads addresses and networks in CIDR notation, separated by spaces or commas.</summary>
    public static bool TryParse(string text, out TrustedProxies proxies)
    {
        proxies = new TrustedProxies([]);
        var found = ImmutableArray.CreateBuilder<IPNetwork>();
        foreach (var part in text.Split([' ', ',', '\t', '\n'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (part.Contains('/') ? IPNetwork.TryParse(part, out var network) : TryParseOne(part, out network)) found.Add(network);
            else return false;
        }
        proxies = new TrustedProxies(found.ToImmutable());
        return found.Count > 0;
    }

    public bool Contains(IPAddress? address)
    {
        if (address is null) return false;
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        foreach (var network in networks)
            if (network.Contains(address)) return true;
        return false;
    }

    /// <summary>
    /// Takes over what a trusted peer says of its client: the address, found by walking the chain from the right over all that
    /// are trusted; the scheme; the host. What stands left of that address anybody could have written, and it is dropped.
    /// </summary>
    public void Apply(RequestContext context)
    {
        if (!Contains(context.Client.Address)) return;
        var fields = context.Exchange.Fields;
        var hops = new List<IPAddress>();
        var chain = fields.Joined(FieldName.XForwardedFor).Split(',', StringSplitOptions.TrimEntries);
        for (var i = chain.Length - 1; i >= 0 && hops.Count < MaxHops; i--)
        {
            // Some write the port too. Anything else is no address, and the one who sent it is the last that is known.
            if (!TryParseHop(chain[i], out var hop)) break;
            hops.Add(hop);
            if (!Contains(hop)) break;
        }
        if (hops.Count > 0)
        {
            var way = hops.AsEnumerable().Reverse().Select(h => h.ToString()).Append(context.ClientAddress);
            context.ForwardedFor = string.Join(", ", way);
            context.ClientAddress = hops[^1].ToString();
        }
        var scheme = Last(fields.Joined(FieldName.XForwardedProto));
        if (scheme.Equals("https", StringComparison.OrdinalIgnoreCase)) context.Exchange.Scheme = "https";
        else if (scheme.Equals("http", StringComparison.OrdinalIgnoreCase)) context.Exchange.Scheme = "http";
        var host = Last(fields.Joined(FieldName.XForwardedHost));
        if (host.Length > 0 && HttpChars.IsFieldValue(host)) context.ForwardedHost = host;
    }

    private static string Last(string list) => list[(list.LastIndexOf(',') + 1)..].Trim();

    private static bool TryParseOne(string text, out IPNetwork network)
    {
        network = default;
        if (!IPAddress.TryParse(text, out var address)) return false;
        network = new IPNetwork(address, address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128);
        return true;
    }

    private static bool TryParseHop(string text, out IPAddress address)
    {
        address = IPAddress.None;
        if (text.Length is 0 or > 64 || text.Contains('%')) return false;
        // IPAddress takes 1 and 0x7f000001 for addresses too.
        if (!text.Contains('.') && !text.Contains(':')) return false;
        if (!IPEndPoint.TryParse(text, out var endPoint)) return false;
        address = endPoint.Address.IsIPv4MappedToIPv6 ? endPoint.Address.MapToIPv4() : endPoint.Address;
        return true;
    }
}
