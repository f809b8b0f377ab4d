using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>
/// One port from its binding to its end. It can stop accepting long before its connections are closed, so that no request fails that a
/// client is just sending on one.
/// </summary>
internal sealed class ListeningPort : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly IAccepting _accepting;

    private ListeningPort(Socket socket, IAccepting accepting)
    {
        _socket = socket;
        _accepting = accepting;
        EndPoint = (IPEndPoint)socket.LocalEndPoint!;
    }

    /// <summary>
    /// How long clients whose connection has begun are waited for: it is theirs at once, or when a packet that got lost was sent again.
    /// </summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The address bound, with the port that the system chose where 0 was asked for.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>Starts listening; an address that cannot be bound is an <see cref="IOException"/>.</summary>
    /// <param name="transport">Accepts.</param>
    /// <param name="address">Null for all: IPv6 and IPv4, or IPv4 alone where there is no IPv6.</param>
    /// <param name="port">0 for one that the system chooses.</param>
    /// <param name="accepted">Is given the connections.</param>
    public static async Task<ListeningPort> OpenAsync(ITransport transport, IPAddress? address, int port, AcceptedConnection accepted)
    {
        try
        {
            var socket = Bind(address, port);
            try
            {
                return new ListeningPort(socket, await transport.ListenAsync(socket, accepted).ConfigureAwait(false));
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
        catch (SocketException e)
        {
            throw new IOException($"port {port} cannot be listened on: {e.Message}", e);
        }
    }

    /// <summary>
    /// Stops accepting: new clients are refused, nobody is reset, and whoever was accepted has been handed over when it returns. Open
    /// connections go on.
    /// </summary>
    public async Task StopAcceptingAsync()
    {
        await ListenGate.ShutAsync(_socket, Patience).ConfigureAwait(false);
        await _accepting.CloseAsync().WaitAsync(Patience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>To be called when its connections are over.</summary>
    public ValueTask DisposeAsync() => _accepting.DisposeAsync();

    private static Socket Bind(IPAddress? address, int port)
    {
        try
        {
            return SocketTransportOptions.CreateDefaultBoundListenSocket(new IPEndPoint(address ?? IPAddress.IPv6Any, port));
        }
        catch (SocketException e) when (address is null
            && e.SocketErrorCode is SocketError.AddressFamilyNotSupported or SocketError.AddressNotAvailable)
        {
            // A machine without IPv6.
            return SocketTransportOptions.CreateDefaultBoundListenSocket(new IPEndPoint(IPAddress.Any, port));
        }
    }
}
