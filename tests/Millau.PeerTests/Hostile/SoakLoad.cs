using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Millau.PeerTests.Support;
using Millau.Tests.Shared;

namespace Millau.PeerTests.Hostile;

/// <summary>What clients do, at random, at a steady rate: whole requests of all kinds, tunnels, refused ones, and some that go away.</summary>
/// <param name="millau">Not owned.</param>
/// <param name="rate">Requests a second.</param>
internal sealed class SoakLoad(MillauBinary millau, int rate) : IDisposable
{
    private const int Workers = 8;
    private const int Large = 300_000;

    private readonly HttpClient _plain = Client($"http://127.0.0.1:{millau.Http}/", HttpVersion.Version11);
    private readonly HttpClient _tls = Client($"https://127.0.0.1:{millau.Https}/", HttpVersion.Version11);
    private readonly HttpClient _http2 = Client($"https://127.0.0.1:{millau.Https}/", HttpVersion.Version20);
    private readonly ConcurrentDictionary<string, int> _kinds = new();
    private static readonly byte[] Body = new byte[20_000];
    private int _requests;

    public int Requests => _requests;

    public ConcurrentQueue<string> Failures { get; } = new();

    public string Kinds => string.Join(' ', _kinds.OrderBy(k => k.Key, StringComparer.Ordinal).Select(k => $"{k.Key}={k.Value}"));

    public async Task<bool> IsServedAsync()
    {
        using var answer = await SendAsync(_plain, HttpMethod.Get, "text", "app.test", null);
        return answer.StatusCode == HttpStatusCode.OK;
    }

    public Task RunAsync(Func<bool> isPaused, CancellationToken over) => Task.WhenAll(Enumerable.Range(0, Workers).Select(async worker =>
    {
        var random = new Random(worker);
        using var beat = new PeriodicTimer(TimeSpan.FromSeconds((double)Workers / rate));
        while (!over.IsCancellationRequested)
        {
            await beat.WaitForNextTickAsync(CancellationToken.None);
            if (!isPaused()) await OneAsync(random);
        }
    }));

    public void Dispose()
    {
        _plain.Dispose();
        _tls.Dispose();
        _http2.Dispose();
    }

    private async Task OneAsync(Random random)
    {
        var (kind, request) = random.Next(100) switch
        {
            < 45 => ("get", GetAsync(_plain, "text", "app.test", HttpStatusCode.OK)),
            < 55 => ("post", PostAsync(_plain, chunked: false)),
            < 63 => ("post-chunked", PostAsync(_plain, chunked: true)),
            < 70 => ("tls", GetAsync(_tls, "text", "app.test", HttpStatusCode.OK)),
            < 76 => ("http2", GetAsync(_http2, "text", "app.test", HttpStatusCode.OK)),
            < 80 => ("http2-post", PostAsync(_http2, chunked: true)),
            < 85 => ("not-found", GetAsync(_plain, "x?status=404", "app.test", HttpStatusCode.NotFound)),
            < 88 => ("unrouted", GetAsync(_plain, "", "nobody.test", HttpStatusCode.BadGateway)),
            < 91 => ("download", GetAsync(_plain, $"bytes?n={Large}", "app.test", HttpStatusCode.OK)),
            < 94 => ("aborted", AbortAsync(random)),
            < 97 => ("websocket", WebSocketAsync()),
            _ => ("refused", RefusedAsync(random)),
        };
        Interlocked.Increment(ref _requests);
        _kinds.AddOrUpdate(kind, 1, static (_, n) => n + 1);
        try
        {
            await request;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException or SocketException or WebSocketException or InvalidOperationException)
        {
            Failures.Enqueue($"{DateTime.UtcNow:HH:mm:ss} {kind}: {e.Message} {e.InnerException?.Message}");
        }
    }

    private static async Task GetAsync(HttpClient client, string path, string host, HttpStatusCode expected)
    {
        using var answer = await SendAsync(client, HttpMethod.Get, path, host, null);
        await answer.Content.ReadAsByteArrayAsync();
        if (answer.StatusCode != expected) throw new InvalidOperationException($"{answer.StatusCode} in place of {expected}");
    }

    private static async Task PostAsync(HttpClient client, bool chunked)
    {
        using var content = new ByteArrayContent(Body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using var answer = await SendAsync(client, HttpMethod.Post, "post", "app.test", content, chunked);
        var echo = await answer.Content.ReadAsStringAsync();
        if (!echo.Contains("\"bodyBytes\":20000", StringComparison.Ordinal)) throw new InvalidOperationException($"{answer.StatusCode} {echo}");
    }

    private static async Task<HttpResponseMessage> SendAsync(
        HttpClient client, HttpMethod method, string path, string host, HttpContent? content, bool chunked = false)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative))
        {
            Content = content, Version = client.DefaultRequestVersion, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.Host = host;
        if (chunked && client.DefaultRequestVersion == HttpVersion.Version11) request.Headers.TransferEncodingChunked = true;
        return await client.SendAsync(request);
    }

    // A client that goes before its request is whole, or in the midst of an answer; with a reset or in order.
    private async Task AbortAsync(Random random)
    {
        using var socket = await ConnectAsync();
        await socket.SendAsync(Encoding.ASCII.GetBytes(random.Next(2) == 0
            ? "POST /post HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
            : $"GET /bytes?n={Large * 10} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        if (random.Next(2) == 0) await socket.ReceiveAsync(new byte[100]).WaitAsync(TimeSpan.FromSeconds(1)).ContinueWith(static _ => { }, TaskScheduler.Default);
        if (random.Next(2) == 0) socket.LingerState = new LingerOption(true, 0);
    }

    private async Task RefusedAsync(Random random)
    {
        var small = HostileRequests.All.Where(r => r.Bytes.Length < 1000 && r.Row != 10).ToList();
        var request = small[random.Next(small.Count)];
        using var socket = await ConnectAsync();
        await socket.SendAsync(Encoding.Latin1.GetBytes(request.Bytes));
        var buffer = new byte[12];
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var received = await socket.ReceiveAsync(buffer, deadline.Token);
        var start = Encoding.ASCII.GetString(buffer, 0, received);
        if (!start.StartsWith("HTTP/1.1 4", StringComparison.Ordinal) && start != "HTTP/1.1 501") throw new InvalidOperationException($"{request.Name}: {start}");
    }

    private async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectBlockingAsync(new IPEndPoint(IPAddress.Loopback, millau.Http));
        return socket;
    }

    private async Task WebSocketAsync()
    {
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Host", "app.test");
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{millau.Http}/ws"), deadline.Token);
        var buffer = new byte[100];
        await socket.SendAsync(Body.AsMemory(0, 100), WebSocketMessageType.Binary, true, deadline.Token);
        var message = await socket.ReceiveAsync(buffer, deadline.Token);
        if (message.Count != 100) throw new InvalidOperationException($"{message.Count} bytes came back");
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, deadline.Token);
    }

    private static HttpClient Client(string address, Version version) => new(new SocketsHttpHandler
    {
        SslOptions = { RemoteCertificateValidationCallback = static (_, _, _, _) => true },
        PooledConnectionLifetime = TimeSpan.FromSeconds(20),
    })
    {
        BaseAddress = new Uri(address), DefaultRequestVersion = version, Timeout = TimeSpan.FromSeconds(60),
    };
}
