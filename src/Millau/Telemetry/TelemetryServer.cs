using System.Collections.Frozen;
using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Millau.Ingress;

namespace Millau.Telemetry;

/// <summary>
/// The listener for those who watch: a table of pages by path, each for GET and HEAD alone, so that nothing can be
/// changed through it. Apart from the proxy's own, so that it answers also when that one is full or draining.
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
    /// <param name="pages">What is answered, by path; a path without one is not found.</param>
    /// <param name="logging">Used, not disposed.</param>
    /// <param name="address">The address to listen on; null for all.</param>
    public static async Task<TelemetryServer> StartAsync(
        int port, IReadOnlyDictionary<string, TelemetryPage> pages, ILoggerFactory logging, IPAddress? address = null)
    {
        var host = await KestrelHost.StartAsync(
            new Application(pages.ToFrozenDictionary(StringComparer.Ordinal)),
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

    private sealed class Application(FrozenDictionary<string, TelemetryPage> pages) : IHttpApplication<IFeatureCollection>
    {
        private static readonly TelemetryAnswer NotFound =
            TelemetryAnswer.Text(StatusCodes.Status404NotFound, "not found\n");

        private static readonly TelemetryAnswer WrongMethod =
            TelemetryAnswer.Text(StatusCodes.Status405MethodNotAllowed, "method not allowed\n") with
            {
                Fields = [("Allow", "GET, HEAD")],
            };

        public IFeatureCollection CreateContext(IFeatureCollection contextFeatures) => contextFeatures;

        public async Task ProcessRequestAsync(IFeatureCollection context)
        {
            var request = context.GetRequiredFeature<IHttpRequestFeature>();
            TelemetryAnswer answer;
            if (!pages.TryGetValue(request.Path, out var page))
                answer = NotFound;
            else if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
                answer = WrongMethod;
            else
                answer = await page(new TelemetryRequest(request.QueryString, request.Headers)).ConfigureAwait(false);
            await WriteAsync(context, answer, HttpMethods.IsHead(request.Method)).ConfigureAwait(false);
        }

        public void DisposeContext(IFeatureCollection context, Exception? exception)
        {
        }

        private static async Task WriteAsync(IFeatureCollection context, TelemetryAnswer answer, bool isHead)
        {
            var response = context.GetRequiredFeature<IHttpResponseFeature>();
            response.StatusCode = answer.Status;
            var headers = response.Headers;
            headers.CacheControl = "no-store";
            headers.XContentTypeOptions = "nosniff";
            foreach (var (name, value) in answer.Fields)
                headers[name] = value;
            // RFC 9110 section 15.4.5: 304 has no body, and no fields that describe one.
            if (answer.Status == StatusCodes.Status304NotModified)
                return;

            headers.ContentType = answer.ContentType;
            headers.ContentLength = answer.Body.Length;
            if (!isHead)
                await context.GetRequiredFeature<IHttpResponseBodyFeature>().Writer.WriteAsync(answer.Body).ConfigureAwait(false);
        }
    }
}
