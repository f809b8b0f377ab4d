using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Millau.SwarmTests.Support;

/// <summary>One answer as it was read from the wire.</summary>
internal sealed record Answer(int Status, Dictionary<string, string> Headers, string Body)
{
    public string Instance => Headers.GetValueOrDefault("X-Instance", "");

    public string Name => Headers.GetValueOrDefault("X-Name", "");

    public bool KeepsAlive => !string.Equals(Headers.GetValueOrDefault("Connection"), "close", StringComparison.OrdinalIgnoreCase);
}

/// <summary>
/// A plain HTTP/1.1 client connection that hides nothing: no retry, no pooling, so that what a test counts is what happened.
/// </summary>
internal sealed class Wire : IDisposable
{
    private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly byte[] _buffer = new byte[32 * 1024];
    private int _start, _end;

    /// <summary>Bytes of the answer in progress that have arrived: none means that the server cannot have answered yet.</summary>
    public bool AnswerStarted { get; private set; }

    public async Task ConnectAsync(string host, int port, CancellationToken cancel) =>
        await _socket.ConnectAsync(IPAddress.Parse(host), port, cancel);

    /// <summary>Sends one request; a body is length-framed. Host and target as given.</summary>
    public async Task SendAsync(string method, string host, string target, string? body, string extra, CancellationToken cancel)
    {
        AnswerStarted = false;
        var length = body is null ? "" : $"Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n";
        var bytes = Encoding.UTF8.GetBytes($"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{length}{extra}\r\n{body}");
        for (var sent = 0; sent < bytes.Length;)
            sent += await _socket.SendAsync(bytes.AsMemory(sent), cancel);
    }

    /// <summary>Reads one whole answer.</summary>
    /// <exception cref="IOException">The connection ended first, or what came is no HTTP answer.</exception>
    public async Task<Answer> ReadAsync(CancellationToken cancel, bool head = false)
    {
        var first = await LineAsync(cancel);
        if (!first.StartsWith("HTTP/1.1 ", StringComparison.Ordinal))
            throw new IOException($"not an HTTP answer: '{first}'");
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        while (await LineAsync(cancel) is { Length: > 0 } line)
        {
            var colon = line.IndexOf(':');
            headers[line[..colon]] = line[(colon + 1)..].Trim();
        }
        var status = int.Parse(first.AsSpan(9, 3), CultureInfo.InvariantCulture);
        var body = head || status is 204 or 304 ? "" : await BodyAsync(headers, cancel);
        return new Answer(status, headers, body);
    }

    public async Task<string> LineAsync(CancellationToken cancel)
    {
        var line = new StringBuilder();
        while (true)
        {
            for (; _start < _end; _start++)
            {
                if (_buffer[_start] == '\n')
                {
                    _start++;
                    return line.ToString().TrimEnd('\r');
                }
                line.Append((char)_buffer[_start]);
            }
            await FillAsync(cancel);
        }
    }

    public void Dispose() => _socket.Dispose();

    private async Task<string> BodyAsync(Dictionary<string, string> headers, CancellationToken cancel)
    {
        if (headers.TryGetValue("Content-Length", out var length))
            return await TakeAsync(int.Parse(length, CultureInfo.InvariantCulture), cancel);
        if (!headers.ContainsKey("Transfer-Encoding"))
            throw new IOException("an answer without framing");
        var body = new StringBuilder();
        while (true)
        {
            var size = int.Parse(await LineAsync(cancel), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            body.Append(await TakeAsync(size, cancel));
            await LineAsync(cancel);
            if (size == 0)
                return body.ToString();
        }
    }

    private async Task<string> TakeAsync(int count, CancellationToken cancel)
    {
        var text = new StringBuilder(count);
        while (count > 0)
        {
            if (_start == _end)
                await FillAsync(cancel);
            var n = Math.Min(count, _end - _start);
            text.Append(Encoding.Latin1.GetString(_buffer, _start, n));
            _start += n;
            count -= n;
        }
        return text.ToString();
    }

    private async Task FillAsync(CancellationToken cancel)
    {
        _start = 0;
        _end = 0;
        _end = await _socket.ReceiveAsync(_buffer, cancel);
        if (_end == 0)
            throw new IOException("closed");
        AnswerStarted = true;
    }
}

/// <summary>Where a Millau listens, and single requests to it on a connection of their own.</summary>
internal sealed record Proxy(string Address, int Port)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    public Task<Answer> GetAsync(string host, string target = "/", string extra = "") => RequestAsync("GET", host, target, null, extra);

    public async Task<Answer> RequestAsync(string method, string host, string target, string? body = null, string extra = "")
    {
        using var deadline = new CancellationTokenSource(Patience);
        using var wire = new Wire();
        await wire.ConnectAsync(Address, Port, deadline.Token);
        await wire.SendAsync(method, host, target, body, extra + "Connection: close\r\n", deadline.Token);
        return await wire.ReadAsync(deadline.Token, head: method == "HEAD");
    }

    /// <summary>As <see cref="GetAsync"/>, but a refused or cut connection is an answer of status 0 that says so.</summary>
    public async Task<Answer> TryAsync(string host, string target = "/")
    {
        try
        {
            return await GetAsync(host, target);
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException)
        {
            return new Answer(0, [], e.Message);
        }
    }

    /// <summary>Waits for an answer that satisfies the condition.</summary>
    public Task<TimeSpan> UntilAsync(string what, string host, Func<Answer, bool> condition, string target = "/", TimeSpan? deadline = null)
    {
        Answer? last = null;
        return Until.TrueAsync(what, async () => condition(last = await TryAsync(host, target)),
            () => $"{last?.Status} {last?.Name} {last?.Body.Trim()}", deadline);
    }

    /// <summary>Waits until exactly so many instances answer in turn: a full round of distinct instances, twice.</summary>
    public Task<TimeSpan> UntilInstancesAsync(string host, int count, TimeSpan? deadline = null)
    {
        var seen = "";
        return Until.TrueAsync($"{count} instances answer for {host}", async () =>
        {
            var round = new HashSet<string>();
            for (var i = 0; i < 2 * count + 2; i++)
            {
                var answer = await TryAsync(host);
                if (answer.Status != 200)
                {
                    seen = $"{answer.Status} {answer.Body.Trim()}";
                    return false;
                }
                round.Add(answer.Instance);
            }
            seen = $"{round.Count} instances";
            return round.Count == count;
        }, () => seen, deadline);
    }
}
