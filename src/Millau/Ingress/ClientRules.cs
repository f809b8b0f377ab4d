using Millau.Forwarding;

namespace Millau.Ingress;

/// <summary>What the settings say of clients: how much they may take, and which are proxies that are believed.</summary>
internal sealed record ClientRules
{
    public ClientLimits Limits { get; init; } = new();

    /// <summary>Peers whose <c>X-Forwarded-*</c> are believed; null for none.</summary>
    public TrustedProxies? Trusted { get; init; }

    /// <summary>Those peers begin each connection with a header of the PROXY protocol.</summary>
    public bool ProxyProtocol { get; init; }
}
