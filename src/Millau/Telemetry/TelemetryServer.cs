using System.Collections.Frozen;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Millau.Http1;
using Millau.Ingress;
using Millau.Ingress.Http1;
using Millau.Transport;

namespace Millau.Telemetry;

/// <summary>
/// The listener for those who watch: a table of pages by path, each for GET and HEAD alone, so that nothing can be
/// changed through it. Apart from the proxy's own, so that it answers also when that one is full or draining.
/// </summary>
internal sealed class TelemetryServer : IAsyncDisposable
{
    // Scrapers and health checks come seldom and say little.
    private static readonly ClientLimits Limits = new()
    {
        Connections = 256,
        Idle = TimeSpan.FromSeconds(130),
        Header = TimeSpan.FromSeconds(5),
    };

    private readonly ConnectionServer _server;

    private TelemetryServer(ConnectionServer server) => _server = server;

    /// <summary>The port bound.</summary>
    public int Port => _server.EndPoints[0].Port;

    /// <summary>Starts listening; a port that cannot be bound is an <see cref="IOException"/>.</summary>
    /// <param name="port">0 for one that the system chooses.</param>
    /// <param name="pages">What is answered, by path; a path without one is not found.</param>
    /// <param name="logging">Used, not disposed.</param>
    /// <param name="address">The address to listen on; null for all.</param>
    public static async Task<TelemetryServer> StartAsync(
        int port, IReadOnlyDictionary<string, TelemetryPage> pages, ILoggerFactory logging, IPAddress? address = null)
    {
        var log = logging.CreateLogger("Millau.Telemetry");
        // Apart from the event loops of the proxy: a page may take its time, and no request is to wait for it.
        var server = new ConnectionServer(new SocketTransport(logging), Limits.Connections, TimeProvider.System, log);
        var service = new HttpService(new Pages(pages.ToFrozenDictionary(StringComparer.Ordinal)), Limits, server.Clock, log);
        try
        {
            await server.ListenAsync(address, port, connection => service.ServeAsync(new Http1Connection(connection, service)))
                .ConfigureAwait(false);
        }
        catch
        {
            await server.DisposeAsync().ConfigureAwait(false);
            throw;
        }
        return new TelemetryServer(server);
    }

    /// <summary>Stops accepting and lets answers go out, up to <paramref name="grace"/>.</summary>
    public Task StopAsync(TimeSpan grace) => _server.StopAsync(grace);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private sealed class Pages(FrozenDictionary<string, TelemetryPage> pages) : IRequestHandler
    {
        private static readonly TelemetryAnswer NotFound =
            TelemetryAnswer.Text(StatusCodes.Status404NotFound, "not found\n");

        private static readonly TelemetryAnswer WrongMethod =
            TelemetryAnswer.Text(StatusCodes.Status405MethodNotAllowed, "method not allowed\n") with
            {
                Fields = [("Allow", "GET, HEAD")],
            };

        private static readonly TelemetryAnswer NoBody =
            TelemetryAnswer.Text(StatusCodes.Status413PayloadTooLarge, "no body is taken\n");

        public async ValueTask HandleAsync(Exchange exchange)
        {
            var mark = exchange.Target.IndexOf('?', StringComparison.Ordinal);
            var path = mark < 0 ? exchange.Target : exchange.Target[..mark];
            TelemetryAnswer answer;
            if (exchange.HasBody)
                answer = NoBody;
            else if (!pages.TryGetValue(path, out var page))
                answer = NotFound;
            else if (exchange.Method is not ("GET" or "HEAD"))
                answer = WrongMethod;
            else
                answer = await page(new TelemetryRequest(mark < 0 ? "" : exchange.Target[mark..], exchange.Fields.Text(FieldName.IfNoneMatch)))
                    .ConfigureAwait(false);
            if (exchange.HasBody) exchange.CloseAfterAnswer();
            Write(exchange, answer);
        }

        private static void Write(Exchange exchange, TelemetryAnswer answer)
        {
            exchange.BeginHead(answer.Status);
            exchange.Field("Cache-Control"u8, "no-store"u8);
            exchange.Field("X-Content-Type-Options"u8, "nosniff"u8);
            foreach (var (name, value) in answer.Fields) exchange.Field(Encoding.ASCII.GetBytes(name), value);
            // RFC 9110 section 15.4.5: 304 has no body, and no fields that describe one.
            if (answer.Status == StatusCodes.Status304NotModified)
            {
                exchange.EndHead(-1, hasBody: false);
                return;
            }

            exchange.Field("Content-Type"u8, answer.ContentType);
            var hasBody = exchange.Method != "HEAD";
            exchange.EndHead(answer.Body.Length, hasBody);
            if (hasBody) exchange.Write(answer.Body.Span);
        }
    }
}
