using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Millau.Ingress;

namespace Millau.Telemetry;

/// <summary>
/// The listener for those who watch: <c>/</c> answers <c>up</c> with 200 or <c>down</c> with 503. Apart from the proxy's
/// own, so that it answers also when that one is full or draining.
/// </summary>
internal sealed class TelemetryServer : IAsyncDisposable
{
    // Scrapers and health checks come seldom and say little.
    private const int MaxConnections = 256;
    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(130);
    private static readonly TimeSpan HeadDeadline = TimeSpan.FromSeconds(5);

    private readonly KestrelHost _host;

    private TelemetryServer(KestrelHost host) => _host = host;

    /// <summary>The port bound.</summary>
    public int Port => _host.EndPoints[0].Port;

    /// <summary>Starts listening; a port that cannot be bound is an <see cref="IOException"/>.</summary>
    /// <param name="port">0 for one that the system chooses.</param>
    /// <param name="health">What <c>/</c> answers.</param>
    /// <param name="logging">Used, not disposed.</param>
    /// <param name="address">The address to listen on; null for all.</param>
    public static async Task<TelemetryServer> StartAsync(
        int port, Health health, ILoggerFactory logging, IPAddress? address = null)
    {
        var host = await KestrelHost.StartAsync(
            new Application(health),
            logging,
            server =>
            {
                server.AddServerHeader = false;
                server.Limits.MaxConcurrentConnections = MaxConnections;
                server.Limits.KeepAliveTimeout = KeepAlive;
                server.Limits.RequestHeadersTimeout = HeadDeadline;
                server.Limits.MaxRequestBodySize = 0;
                if (address is null)
                    server.ListenAnyIP(port, o => o.Protocols = HttpProtocols.Http1);
                else
                    server.Listen(address, port, o => o.Protocols = HttpProtocols.Http1);
            }).ConfigureAwait(false);
        return new TelemetryServer(host);
    }

    /// <summary>Stops accepting and lets answers go out, up to <paramref name="grace"/>.</summary>
    public Task StopAsync(TimeSpan grace) => _host.StopAsync(grace);

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    private sealed class Application(Health health) : IHttpApplication<IFeatureCollection>
    {
        public IFeatureCollection CreateContext(IFeatureCollection contextFeatures) => contextFeatures;

        public Task ProcessRequestAsync(IFeatureCollection context)
        {
            var request = context.GetRequiredFeature<IHttpRequestFeature>();
            if (request.Path != "/")
                return AnswerAsync(context, StatusCodes.Status404NotFound, "not found\n"u8);
            if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
            {
                context.GetRequiredFeature<IHttpResponseFeature>().Headers.Allow = "GET, HEAD";
                return AnswerAsync(context, StatusCodes.Status405MethodNotAllowed, "method not allowed\n"u8);
            }

            return health.IsUp
                ? AnswerAsync(context, StatusCodes.Status200OK, "up"u8)
                : AnswerAsync(context, StatusCodes.Status503ServiceUnavailable, "down"u8);
        }

        public void DisposeContext(IFeatureCollection context, Exception? exception)
        {
        }

        private static Task AnswerAsync(IFeatureCollection context, int status, ReadOnlySpan<byte> text)
        {
            var response = context.GetRequiredFeature<IHttpResponseFeature>();
            response.StatusCode = status;
            response.Headers.ContentType = "text/plain; charset=utf-8";
            response.Headers.CacheControl = "no-store";
            response.Headers.ContentLength = text.Length;
            if (HttpMethods.IsHead(context.GetRequiredFeature<IHttpRequestFeature>().Method))
                return Task.CompletedTask;

            var body = context.GetRequiredFeature<IHttpResponseBodyFeature>().Writer;
            text.CopyTo(body.GetSpan(text.Length));
            body.Advance(text.Length);
            return body.FlushAsync().AsTask();
        }
    }
}
