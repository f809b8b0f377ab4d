using System.Buffers;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.Features;

namespace Millau.EchoService;

/// <summary>What an instance saw of one request.</summary>
internal sealed record Echo(
    string Name, string Id, string Host, string Method, string Target, string Protocol,
    Dictionary<string, string[]> Headers, long BodyBytes, string BodySha256, int Executed);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Echo))]
internal sealed partial class EchoJson : JsonSerializerContext;

/// <summary>
/// Answers by the last segment of the path, so that every path prefix can be routed to it: <c>/health</c>, <c>/unhealthy</c>,
/// <c>/healthy</c>, <c>/die</c>, <c>/reset</c>, <c>/events?count=&amp;interval=</c>, <c>/bytes?n=</c>, <c>/executed</c>,
/// <c>/text</c> (the name alone), a WebSocket upgrade anywhere (messages come back), else an <see cref="Echo"/> as JSON.
/// <c>?delay=</c> milliseconds and <c>?status=</c> hold for every answer.
/// </summary>
internal sealed class Endpoints(Options options)
{
    private readonly ExecutedPosts _posts = new(options.Record, $"{options.Name}-{Environment.MachineName}");
    private volatile bool _healthy = true;
    private int _requests;

    /// <summary>Chosen at start: a restarted instance is another one.</summary>
    public string Id { get; } = RandomNumberGenerator.GetHexString(12, lowercase: true);

    public async Task HandleAsync(HttpContext context)
    {
        var request = context.Request;
        var response = context.Response;
        response.Headers["X-Instance"] = Id;
        response.Headers["X-Name"] = options.Name;
        if (context.WebSockets.IsWebSocketRequest)
        {
            await EchoMessagesAsync(context);
            return;
        }

        var path = request.Path.Value ?? "/";
        var action = path[(path.LastIndexOf('/') + 1)..];
        if (action == "health")
        {
            response.StatusCode = _healthy ? 200 : 503;
            return;
        }

        // The body is read whole before anything is answered: an aborted upload executes nothing.
        var (bytes, hash) = await ReadBodyAsync(request, context.RequestAborted);
        var executed = HttpMethods.IsPost(request.Method) && request.Headers["X-Request-Id"] is [{ Length: > 0 } id, ..]
            ? _posts.Add(id)
            : 0;
        if (options.ResetEvery > 0 && Interlocked.Increment(ref _requests) % options.ResetEvery == 0)
        {
            context.Abort();
            return;
        }
        var delay = Number(request, "delay", options.Delay);
        if (delay > 0)
            await Task.Delay(delay, context.RequestAborted);
        response.StatusCode = Number(request, "status", 200);
        switch (action)
        {
            case "healthy" or "unhealthy":
                _healthy = action == "healthy";
                await response.WriteAsync(action + "\n");
                break;
            case "die":
                Environment.FailFast(null);
                break;
            case "reset":
                context.Abort();
                break;
            case "events":
                await SendEventsAsync(context, Number(request, "count", 3), Number(request, "interval", 100));
                break;
            case "bytes":
                await SendBytesAsync(context, Number(request, "n", 1024));
                break;
            case "executed":
                await response.WriteAsync(_posts.List());
                break;
            case var _ when options.TextOnly:
            case "text":
                await response.WriteAsync(options.Name + "\n");
                break;
            default:
                var echo = new Echo(options.Name, Id, Environment.MachineName, request.Method,
                    context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget,
                    request.Protocol, request.Headers.ToDictionary(h => h.Key, h => h.Value.Select(v => v ?? "").ToArray()),
                    bytes, hash, executed);
                var json = JsonSerializer.SerializeToUtf8Bytes(echo, EchoJson.Default.Echo);
                response.ContentType = "application/json";
                response.ContentLength = json.Length;
                await response.Body.WriteAsync(json);
                break;
        }
    }

    private static int Number(HttpRequest request, string name, int otherwise) =>
        int.TryParse(request.Query[name], out var number) ? number : otherwise;

    private static async Task<(long Bytes, string Hash)> ReadBodyAsync(HttpRequest request, CancellationToken aborted)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        long bytes = 0;
        while (await request.Body.ReadAsync(buffer, aborted) is > 0 and var n)
        {
            hash.AppendData(buffer, 0, n);
            bytes += n;
        }
        ArrayPool<byte>.Shared.Return(buffer);
        return (bytes, bytes == 0 ? "" : Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    private async Task SendEventsAsync(HttpContext context, int count, int interval)
    {
        context.Response.ContentType = "text/event-stream";
        for (var i = 0; i < count; i++)
        {
            if (i > 0)
                await Task.Delay(interval, context.RequestAborted);
            await context.Response.WriteAsync($"id: {i}\ndata: {options.Name} {Id}\n\n", context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
        }
    }

    private static async Task SendBytesAsync(HttpContext context, int count)
    {
        context.Response.ContentType = "application/octet-stream";
        context.Response.ContentLength = count;
        var block = new byte[16 * 1024];
        for (var i = 0; i < block.Length; i++)
            block[i] = (byte)i;
        for (var left = count; left > 0; left -= block.Length)
            await context.Response.Body.WriteAsync(block.AsMemory(0, Math.Min(left, block.Length)), context.RequestAborted);
    }

    private static async Task EchoMessagesAsync(HttpContext context)
    {
        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        var buffer = new byte[64 * 1024];
        while (true)
        {
            var message = await socket.ReceiveAsync(buffer, context.RequestAborted);
            if (message.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
                return;
            }
            await socket.SendAsync(buffer.AsMemory(0, message.Count), message.MessageType, message.EndOfMessage, context.RequestAborted);
        }
    }
}
