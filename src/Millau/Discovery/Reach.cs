using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Millau.Discovery;

/// <summary>Which networks Millau can reach. Immutable.</summary>
/// <param name="Networks">Name by id: those that Millau's container shares, or the bridges of its host.</param>
/// <param name="Subnets">Those of the own interfaces, when the Engine could not be asked for networks; else empty.</param>
/// <param name="IsHost">Millau is in the host's own network namespace.</param>
/// <param name="Fault">Why the Engine could not be asked, so that this is the next best; else null.</param>
internal sealed record Reach(
    ImmutableDictionary<string, string> Networks, ImmutableArray<IPNetwork> Subnets, bool IsHost,
    EngineFault? Fault = null)
{
    private const string ServiceIdLabel = "com.docker.swarm.service.id";

    /// <summary>The mesh of published ports: every task may be on it, yet nothing is served there.</summary>
    private const string Ingress = "ingress";

    /// <summary>The Swarm service that this process belongs to; null outside one, or if that cannot be read.</summary>
    public string? OwnServiceId { get; init; }

    public static readonly Reach Nothing = new(ImmutableDictionary<string, string>.Empty, [], false);

    /// <summary>
    /// The address to use: IPv4 before IPv6, then by the network's name, so that the choice is the same every time.
    /// </summary>
    public IPAddress? Choose(FoundInstance instance)
    {
        NetworkAddress? best = null;
        foreach (var candidate in instance.Addresses)
        {
            if (CanReach(candidate) && (best is not { } chosen || IsBetter(candidate, chosen)))
                best = candidate;
        }

        return best?.Address ?? (IsHost && instance.IsOnHostNetwork ? IPAddress.Loopback : null);
    }

    /// <summary>For the log.</summary>
    public string Describe() => Subnets.IsEmpty
        ? Networks.IsEmpty ? "none" : string.Join(',', Networks.Values.Order(StringComparer.Ordinal))
        : string.Join(',', Subnets);

    /// <summary>Asks the Engine. A fault is given back only when the Engine is gone; else the next best is found.</summary>
    public static async Task<EngineAnswer<Reach>> ReadAsync(
        EngineClient engine, string? ownContainerId, CancellationToken cancellation)
    {
        string? serviceId = null;
        if (ownContainerId is not null)
        {
            var own = await engine.GetContainerAsync(ownContainerId, cancellation);
            if (own.Value is null)
                return FromInterfaces(own.Fault!);
            serviceId = own.Value.Config?.Labels?.GetValueOrDefault(ServiceIdLabel);
            if (own.Value.HostConfig?.NetworkMode != "host")
                return new Reach(
                    (own.Value.NetworkSettings?.Networks ?? [])
                    .Where(n => !string.IsNullOrEmpty(n.Value?.NetworkId) && n.Key != Ingress)
                    .ToImmutableDictionary(n => n.Value!.NetworkId!, n => n.Key),
                    [], false)
                {
                    OwnServiceId = serviceId,
                };
        }

        var networks = await engine.GetNetworksAsync(cancellation);
        if (networks.Value is null)
            return FromInterfaces(networks.Fault!);
        return new Reach(
            networks.Value.Where(n => n is { Id.Length: > 0, Driver: "bridge" })
                .DistinctBy(n => n!.Id)
                .ToImmutableDictionary(n => n!.Id!, n => n!.Name ?? n.Id!),
            [], true)
        {
            OwnServiceId = serviceId,
        };
    }

    private static EngineAnswer<Reach> FromInterfaces(EngineFault fault)
    {
        if (fault.Kind == EngineFaultKind.Unreachable)
            return fault;
        var subnets = ImmutableArray.CreateBuilder<IPNetwork>();
        try
        {
            foreach (var address in NetworkInterface.GetAllNetworkInterfaces()
                         .SelectMany(i => i.GetIPProperties().UnicastAddresses))
            {
                if (!address.Address.IsIPv6LinkLocal)
                    subnets.Add(NetworkOf(address.Address, address.PrefixLength));
            }
        }
        catch (NetworkInformationException)
        {
            // Left with what was found so far.
        }

        return new Reach(ImmutableDictionary<string, string>.Empty, subnets.ToImmutable(), false, fault);
    }

    private static IPNetwork NetworkOf(IPAddress address, int prefixLength)
    {
        var bytes = address.GetAddressBytes();
        for (var bit = prefixLength; bit < bytes.Length * 8; bit++)
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return new IPNetwork(new IPAddress(bytes), prefixLength);
    }

    private static bool IsBetter(NetworkAddress a, NetworkAddress b)
    {
        var aIs4 = a.Address.AddressFamily == AddressFamily.InterNetwork;
        var bIs4 = b.Address.AddressFamily == AddressFamily.InterNetwork;
        return aIs4 != bIs4 ? aIs4 : string.CompareOrdinal(a.NetworkName, b.NetworkName) < 0;
    }

    private bool CanReach(NetworkAddress candidate)
    {
        if (Networks.ContainsKey(candidate.NetworkId))
            return true;
        foreach (var subnet in Subnets)
        {
            if (subnet.Contains(candidate.Address))
                return candidate.NetworkName != Ingress;
        }

        return false;
    }
}
