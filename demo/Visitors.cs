using System.Collections.Concurrent;
using System.Net.Http;

namespace Millau.Demo;

/// <summary>Asks for the same pages all the time, through Millau, and counts who answered.</summary>
internal sealed class Visitors : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private readonly HttpClient _client = new() { Timeout = TimeSpan.FromSeconds(30) };
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Visitor> _visitors = [];
    private readonly List<Task> _running = [];

    /// <summary>Begins to visit.</summary>
    /// <param name="port">Millau's.</param>
    /// <param name="pages">Host and path of each page.</param>
    public Visitors(int port, params ReadOnlySpan<(string Host, string Path)> pages)
    {
        foreach (var (host, path) in pages)
        {
            var visitor = new Visitor(host, path);
            _visitors.Add(visitor);
            _running.Add(Task.Run(() => VisitAsync(visitor, new Uri($"http://127.0.0.1:{port}{path}"))));
        }
    }

    /// <summary>What happened to a page since this was asked last.</summary>
    public Visits Take(string host)
    {
        var visitor = _visitors.First(v => v.Host == host);
        var answered = Interlocked.Exchange(ref visitor.Answered, []);
        return new Visits(
            host + visitor.Path,
            Interlocked.Exchange(ref visitor.Failed, 0),
            [.. answered.OrderBy(a => a.Key, StringComparer.Ordinal).Select(a => (a.Key, a.Value))]);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
        _client.Dispose();
        _stop.Dispose();
    }

    private async Task VisitAsync(Visitor visitor, Uri address)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, address);
                request.Headers.Host = visitor.Host;
                using var response = await _client.SendAsync(request, _stop.Token);
                await response.Content.ReadAsStringAsync(_stop.Token);
                if (response.IsSuccessStatusCode && response.Headers.TryGetValues("X-Backend-Server", out var names))
                    Volatile.Read(ref visitor.Answered).AddOrUpdate(names.First(), 1, static (_, n) => n + 1);
                else
                    Interlocked.Increment(ref visitor.Failed);
                await Task.Delay(Pause, _stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException)
            {
                Interlocked.Increment(ref visitor.Failed);
            }
        }
    }

    private sealed class Visitor(string host, string path)
    {
        public string Host { get; } = host;
        public string Path { get; } = path;
        public ConcurrentDictionary<string, int> Answered = [];
        public int Failed;
    }
}

/// <summary>What happened to one page in some time.</summary>
/// <param name="Page">Host and path.</param>
/// <param name="Failed">Requests without a good answer.</param>
/// <param name="Answered">By whom, and how many.</param>
internal sealed record Visits(string Page, int Failed, IReadOnlyList<(string Instance, int Count)> Answered)
{
    public override string ToString() =>
        $"{Page}: {Answered.Sum(a => a.Count) + Failed} requests, {Failed} failed; answered by "
        + (Answered.Count == 0 ? "nobody" : string.Join(", ", Answered.Select(a => $"{a.Instance} ×{a.Count}")));
}
