using System.Net;
using System.Security.Authentication;
using Microsoft.AspNetCore.Connections;
using Millau.Tls;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>What was agreed in the handshake of a connection.</summary>
/// <param name="Version">TLS 1.2 or 1.3.</param>
/// <param name="ServerName">The host that the client asked for (SNI); empty if it named none.</param>
internal sealed record TlsDetails(SslProtocols Version, string ServerName);

/// <summary>Whoever is at the other end of a client's connection, and how it came in. One for all requests of the connection.</summary>
internal sealed class ClientPeer
{
    private readonly ConnectionContext? _connection;

    /// <summary>For a connection whose handshake, if there is one, is over.</summary>
    public ClientPeer(ConnectionContext connection)
    {
        Address = (connection.RemoteEndPoint as IPEndPoint)?.Address;
        _connection = connection;
        Listener = connection.Features.Get<Listener>() ?? Listener.None;
        Tls = connection.Features.Get<TlsDetails>();
        Certificate = connection.Features.Get<ClientCertificate>();
        Loop = connection.Features.Get<LoopConnection>()?.Loop;
        AddressText = Format(Address);
    }

    /// <summary>For what only looks like a request.</summary>
    public ClientPeer(IPAddress address)
    {
        Address = address;
        AddressText = Format(address);
    }

    /// <summary>Null if the transport knows none.</summary>
    public IPAddress? Address { get; }

    /// <summary>As logs and header fields have it.</summary>
    public string AddressText { get; }

    /// <summary>Where the client came in.</summary>
    public Listener Listener { get; init; } = Listener.None;

    /// <summary>Null without TLS.</summary>
    public TlsDetails? Tls { get; init; }

    /// <summary>What the client showed in the handshake; null if it showed none.</summary>
    public ClientCertificate? Certificate { get; init; }

    /// <summary>Where the connection is served; null where there are no event loops.</summary>
    public EventLoop? Loop { get; }

    /// <summary>The address and port that the client connected to, as they stand in a Host field.</summary>
    public string LocalAddress
    {
        get
        {
            var local = _connection?.LocalEndPoint as IPEndPoint;
            var address = local?.Address ?? IPAddress.Loopback;
            return new IPEndPoint(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, local?.Port ?? 0).ToString();
        }
    }

    private static string Format(IPAddress? address) => address switch
    {
        null => "unknown",
        { IsIPv4MappedToIPv6: true } => address.MapToIPv4().ToString(),
        _ => address.ToString(),
    };
}
