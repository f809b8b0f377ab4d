using System.Collections.Immutable;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Millau.Forwarding;
using Millau.Tls;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>The listeners for clients, plain and TLS: Kestrel with the limits of a reverse proxy, and an end that loses no request.</summary>
internal sealed class ProxyServer : IAsyncDisposable
{
    /// <summary>
    /// How long clients that keep a connection are given to learn that it ends: their next answer says so. Only what
    /// is still idle then is closed.
    /// </summary>
    private static readonly TimeSpan LameDuck = TimeSpan.FromSeconds(3);

    private readonly KestrelHost _host;
    private readonly DrainableTransport _transport;
    private readonly ProxyApplication _application;
    private readonly Listener[] _listeners;
    private readonly TimeProvider _time;

    private ProxyServer(
        KestrelHost host, DrainableTransport transport, ProxyApplication application, Listener[] listeners, TimeProvider time)
    {
        _listeners = listeners;
        _host = host;
        _transport = transport;
        _application = application;
        _time = time;
    }

    /// <summary>The addresses bound: the plain one, then the one for TLS if there is to be one.</summary>
    public ImmutableArray<IPEndPoint> EndPoints => _host.EndPoints;

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
        DrainableTransport? transport = null;
        var pools = new BlockMemoryPool.Factory();
        var host = await KestrelHost.StartAsync(
            application,
            logging,
            options =>
            {
                Configure(options, clients.Limits);
                // Before TLS and HTTP, if at all.
                var proxies = clients is { ProxyProtocol: true, Trusted: { } trusted }
                    ? new ProxyProtocol(trusted, clients.Limits.Header, time, logging.CreateLogger("Millau.Ingress"))
                    : null;
                var closing = new LingeringClose(time);
                Listen(options, address, port, listener =>
                {
                    listener.Use(closing.Attach);
                    Plain(listener, http, proxies);
                });
                if (tlsPort is not { } secure) return;
                Listen(options, address, secure, listener =>
                {
                    listener.Use(closing.Attach);
                    Tls(listener, https, proxies, handshake, time);
                });
            },
            services => services
                .AddSingleton<IMemoryPoolFactory<byte>>(pools)
                // Where there are no event loops. Continuations run on the thread that saw the socket become ready: nothing
                // on a request's way blocks, and each hop to another thread costs more than the work itself.
                .Configure<SocketTransportOptions>(sockets =>
                {
                    sockets.UnsafePreferInlineScheduling = true;
                    // A flush is over when the kernel has all of it: its buffers are enough, and so the end of a connection is known.
                    sockets.MaxWriteBufferSize = 1;
                    sockets.CreateBoundListenSocket = endPoint =>
                        transport!.Keep(SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint));
                })
                .AddSingleton<IConnectionListenerFactory>(provider => transport = new DrainableTransport(loops is null
                    ? new SocketTransportFactory(provider.GetRequiredService<IOptions<SocketTransportOptions>>(), logging)
                    : new LoopTransport(
                        loops, endPoint => transport!.Keep(SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint)),
                        pools.Create(), logging.CreateLogger("Millau.Transport")))))
            .ConfigureAwait(false);
        http.Bind(host.EndPoints[0].Port);
        http.IsOpen = true;
        if (tlsPort is not null)
        {
            https.Bind(host.EndPoints[1].Port);
            https.IsOpen = true;
        }
        return new ProxyServer(host, transport!, application, [http, https], time);
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
        await _transport.StopAcceptingAsync().ConfigureAwait(false);
        var lameDuck = grace < LameDuck ? grace : LameDuck;
        while (_transport.OpenConnections > 0 && _time.GetElapsedTime(started) < lameDuck)
            await Task.Delay(TimeSpan.FromMilliseconds(50), _time).ConfigureAwait(false);
        var left = grace - _time.GetElapsedTime(started);
        await _host.StopAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero).ConfigureAwait(false);
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    private static void Listen(KestrelServerOptions options, IPAddress? address, int port, Action<ListenOptions> configure)
    {
        if (address is null) options.ListenAnyIP(port, configure);
        else options.Listen(address, port, configure);
    }

    private static void Plain(ListenOptions options, Listener listener, ProxyProtocol? proxies)
    {
        if (proxies is not null) options.Use(proxies.Attach);
        options.Protocols = HttpProtocols.Http1;
        listener.Watch(options);
        options.Use(ClientInput.Attach);
    }

    private static void Tls(
        ListenOptions options, Listener listener, ProxyProtocol? proxies, TlsHandshake handshake, TimeProvider time)
    {
        if (proxies is not null) options.Use(proxies.Attach);
        options.Protocols = HttpProtocols.Http1AndHttp2;
        listener.Watch(options);
        options.Use(next => new ClientHelloPeek(handshake.Challenges, time, next).OnConnectionAsync);
        options.UseHttps(new TlsHandshakeCallbackOptions
        {
            OnConnection = context => new(handshake.Choose(context)),
            HandshakeTimeout = ClientHelloPeek.HandshakeTimeout,
        });
        options.Use(new Http2Streams().Attach);
        options.Use(ClientInput.Attach);
    }

    private static void Configure(KestrelServerOptions options, ClientLimits clients)
    {
        options.AddServerHeader = false;
        // A line that ends with a bare LF is one line to some and two to others. Read when the options are used first.
        AppContext.SetSwitch("Microsoft.AspNetCore.Server.Kestrel.DisableHttp1LineFeedTerminators", true);
        // Bytes in, the same bytes out: what is no ASCII passes as it is.
        options.RequestHeaderEncodingSelector = ConnectionFieldEncoding.Select;
        options.ResponseHeaderEncodingSelector = static _ => Encoding.Latin1;
        var limits = options.Limits;
        // Bodies are streamed, so their size is the business of the instances.
        limits.MaxRequestBodySize = null;
        // What a client may send ahead of an instance that does not take it yet, for each connection.
        limits.MaxRequestBufferSize = 256 * 1024;
        limits.MaxConcurrentConnections = limits.MaxConcurrentUpgradedConnections = clients.Connections;
        limits.RequestHeadersTimeout = clients.Header;
        limits.KeepAliveTimeout = clients.Idle;
        // An upload may pause, as a two-way stream does; one that trickles on end is cut.
        limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 1, gracePeriod: clients.Body);
        limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: clients.Reader);
        limits.Http2.MaxStreamsPerConnection = clients.Streams;
        Http2Streams.Limit(limits.Http2);
    }
}
