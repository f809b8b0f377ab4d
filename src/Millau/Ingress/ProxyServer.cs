using System.Collections.Immutable;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Millau.Forwarding;
using Millau.Ingress.Http1;
using Millau.Ingress.Http2;
using Millau.Memory;
using Millau.Tls;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>The listeners for clients, plain and TLS, and an end that loses no request.</summary>
internal sealed class ProxyServer : IAsyncDisposable
{
    /// <summary>
    /// How long clients that keep a connection are given to learn that it ends: their next answer says so. Only what
    /// is still idle then is closed.
    /// </summary>
    private static readonly TimeSpan LameDuck = TimeSpan.FromSeconds(3);

    // Larger than a usual message, so that a large body takes a fraction of the system calls.
    private const int BlockSize = 64 * 1024;

    private readonly ConnectionServer _server;
    private readonly ProxyApplication _application;
    private readonly Listener[] _listeners;
    private readonly TimeProvider _time;

    private ProxyServer(
        ConnectionServer server, ProxyApplication application, Listener[] listeners, TimeProvider time)
    {
        _listeners = listeners;
        _server = server;
        _application = application;
        _time = time;
    }

    /// <summary>The addresses bound: the plain one, then the one for TLS if there is to be one.</summary>
    public ImmutableArray<IPEndPoint> EndPoints => _server.EndPoints;

    /// <summary>Starts listening; an address that cannot be bound is an <see cref="IOException"/>.</summary>
    /// <param name="application">Gets the requests.</param>
    /// <param name="address">Null for all, IPv6 and IPv4.</param>
    /// <param name="port">0 for one that the system chooses.</param>
    /// <param name="tlsPort">The same; null for no TLS.</param>
    /// <param name="http">Told the plain port, and watches its connections.</param>
    /// <param name="https">The same for the one with TLS.</param>
    /// <param name="handshake">Chooses certificates.</param>
    /// <param name="clients">What clients may take, and which are believed.</param>
    /// <param name="loops">Serve the connections; null where there are none to be had. Used, not disposed.</param>
    public static async Task<ProxyServer> StartAsync(
        ProxyApplication application, IPAddress? address, int port, int? tlsPort, Listener http, Listener https,
        TlsHandshake handshake, ClientRules clients, EventLoops? loops, TimeProvider time, ILoggerFactory logging)
    {
        var log = logging.CreateLogger("Millau.Ingress");
        var pool = new BlockMemoryPool(BlockSize, BufferLedger.Shared);
        ITransport transport = loops is null
            ? new SocketTransport(logging)
            : new LoopTransport(loops, pool, logging.CreateLogger("Millau.Transport"));
        var server = new ConnectionServer(transport, clients.Limits.Connections, time, log);
        try
        {
            var service = new HttpService(application, clients.Limits, server.Clock, log);
            // Before TLS and HTTP, if at all.
            var proxies = clients is { ProxyProtocol: true, Trusted: { } trusted }
                ? new ProxyProtocol(trusted, clients.Limits.Header, time, log)
                : null;
            ConnectionDelegate plain = connection => service.ServeAsync(new Http1Connection(connection, service));
            await server.ListenAsync(address, port, Announced(proxies, http.Watch(plain))).ConfigureAwait(false);
            Open(http, server);
            if (tlsPort is not { } secure) return new ProxyServer(server, application, [http, https], time);
            var tls = new TlsConnections(handshake, pool, time, log);
            var peek = new ClientHelloPeek(handshake.Challenges, time, tls.Attach(connection => service.ServeAsync(
                TlsConnections.IsHttp2(connection) ? new Http2Connection(connection, service) : new Http1Connection(connection, service))));
            await server.ListenAsync(address, secure, Announced(proxies, https.Watch(peek.OnConnectionAsync))).ConfigureAwait(false);
            Open(https, server);
            return new ProxyServer(server, application, [http, https], time);
        }
        catch
        {
            await server.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Stops accepting, asks clients to close their connections, lets requests in flight finish, and cuts what is left
    /// when <paramref name="grace"/> is over.
    /// </summary>
    public async Task DrainAsync(TimeSpan grace)
    {
        var started = _time.GetTimestamp();
        _application.Drain();
        foreach (var listener in _listeners) listener.IsOpen = false;
        await _server.StopAcceptingAsync().ConfigureAwait(false);
        var lameDuck = grace < LameDuck ? grace : LameDuck;
        while (_server.OpenConnections > 0 && _time.GetElapsedTime(started) < lameDuck)
            await Task.Delay(TimeSpan.FromMilliseconds(50), _time).ConfigureAwait(false);
        var left = grace - _time.GetElapsedTime(started);
        await _server.StopAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero).ConfigureAwait(false);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static ConnectionDelegate Announced(ProxyProtocol? proxies, ConnectionDelegate next) => proxies?.Attach(next) ?? next;

    private static void Open(Listener listener, ConnectionServer server)
    {
        listener.Bind(server.EndPoints[^1].Port);
        listener.IsOpen = true;
    }
}
