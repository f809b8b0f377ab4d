using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;

namespace Millau.SwarmTests.Support;

/// <summary>
/// A constant load: eight clients, four that keep their connection and four that open one for each request; each sends GET
/// and POST in turn. Every POST has an id of its own, which the echo service records when it executes it.
/// </summary>
/// <remarks>
/// What a client does by itself is counted and printed: it goes to the next proxy when a connection is refused, and it sends a
/// request again when a kept connection ended before any byte of an answer. HTTP/1.1 cannot exclude that race (RFC 9112
/// section 9.3.1), and common clients do the same; that no POST is executed twice by it is part of what is asserted.
/// </remarks>
internal sealed class Load : IAsyncDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    /// <summary>Each has one request under way.</summary>
    public const int Clients = 8;

    private readonly Proxy[] _proxies;
    private readonly string _host;
    private readonly string _record;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task[] _clients;
    private readonly ConcurrentDictionary<string, int> _failures = new();
    private readonly ConcurrentDictionary<string, int> _instances = new();
    private readonly ConcurrentQueue<string> _answeredPosts = new();
    private readonly ConcurrentQueue<double> _times = new();
    private int _gets, _posts, _resent, _movedOn, _serial;

    /// <param name="record">The directory that the instances write the ids of executed POSTs to.</param>
    public Load(string host, string record, params Proxy[] proxies)
    {
        _host = host;
        _record = record;
        _proxies = proxies;
        _clients = [.. Enumerable.Range(0, Clients).Select(n => Task.Run(() => ClientAsync(n)))];
    }

    public int Requests => _gets + _posts;

    public int Failed => _failures.Values.Sum();

    public int Resent => _resent;

    public string Failures => string.Join("; ", _failures.OrderByDescending(f => f.Value).Select(f => $"{f.Value} x {f.Key}"));

    public double SlowestMs => _times.IsEmpty ? 0 : _times.Max();

    public int PostsExecutedTwice { get; private set; }

    public int AnsweredPostsNotExecuted { get; private set; }

    public ICollection<string> Instances => _instances.Keys;

    /// <summary>Waits until so many more requests were answered: the load goes on after a change.</summary>
    public Task MoreAsync(int requests)
    {
        var goal = _times.Count + requests;
        return Until.TrueAsync($"{requests} more requests answered", () => Task.FromResult(_times.Count >= goal),
            () => $"{_times.Count} of {goal}, failed {Failed}: {Failures}", TimeSpan.FromSeconds(60));
    }

    /// <summary>Lets every client finish the request it is at, and compares what was answered with what was executed.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_clients);
        var executed = new Dictionary<string, int>();
        foreach (var file in Directory.GetFiles(_record))
            foreach (var id in await File.ReadAllLinesAsync(file))
                executed[id] = executed.GetValueOrDefault(id) + 1;
        PostsExecutedTwice = executed.Values.Count(n => n > 1);
        AnsweredPostsNotExecuted = _answeredPosts.Count(id => !executed.ContainsKey(id));
    }

    /// <summary>Stops, prints the figures, and asserts that nothing was lost and nothing was executed twice.</summary>
    /// <param name="lostPosts">How many POSTs may go unanswered: one in flight to an instance that is killed cannot be
    /// sent again.</param>
    public async Task EndAsync(string what, int lostPosts = 0)
    {
        await StopAsync();
        Figures.Add(what, $"{Requests} requests, {Failed} failed, {PostsExecutedTwice} POSTs executed twice, slowest {SlowestMs:F0} ms"
            + (_resent + _movedOn > 0 ? $" (clients: {_resent} resent after a closed idle connection, {_movedOn} moved on)" : "")
            + (Failed > 0 ? $" [{Failures}]" : ""));
        var lost = _failures.Where(f => !f.Key.StartsWith("POST 502", StringComparison.Ordinal)).Sum(f => f.Value);
        Assert.True(lost == 0 && Failed <= lostPosts, $"{Failed} of {Requests} requests failed: {Failures}");
        Assert.Equal(0, PostsExecutedTwice);
        Assert.Equal(0, AnsweredPostsNotExecuted);
        Assert.True(Requests > 200, $"only {Requests} requests were sent: too few to show anything");
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_clients).ContinueWith(_ => { }, TaskScheduler.Default);
        _stop.Dispose();
    }

    private async Task ClientAsync(int number)
    {
        var keep = number % 2 == 0;
        Wire? wire = null;
        for (var i = 0; !_stop.IsCancellationRequested; i++)
        {
            var post = (i + number / 2) % 2 == 0;
            var method = post ? "POST" : "GET";
            var id = $"{number}-{Interlocked.Increment(ref _serial)}";
            var clock = Stopwatch.StartNew();
            using var deadline = new CancellationTokenSource(Patience);
            try
            {
                Answer answer;
                (wire, answer) = await RequestAsync(wire, number, method, id, keep, deadline.Token);
                _times.Enqueue(clock.Elapsed.TotalMilliseconds);
                if (answer.Status != 200)
                    Fail($"{method} {answer.Status} {answer.Body.Trim()}");
                else if (post)
                    _answeredPosts.Enqueue(id);
                if (answer.Status == 200)
                    _instances.AddOrUpdate(answer.Instance, 1, (_, n) => n + 1);
                if (!keep || !answer.KeepsAlive)
                    Drop(ref wire);
            }
            catch (Exception e) when (e is SocketException or IOException or OperationCanceledException)
            {
                Fail($"{method} {(e is OperationCanceledException ? $"no answer in {Patience.TotalSeconds} s" : e.Message)}");
                Drop(ref wire);
            }
            if (post)
                Interlocked.Increment(ref _posts);
            else
                Interlocked.Increment(ref _gets);
            var rest = Pace - clock.Elapsed;
            if (rest > TimeSpan.Zero)
                await Task.Delay(rest);
        }
        Drop(ref wire);
    }

    private async Task<(Wire, Answer)> RequestAsync(Wire? wire, int number, string method, string id, bool keep, CancellationToken cancel)
    {
        var extra = $"X-Request-Id: {id}\r\n" + (keep ? "" : "Connection: close\r\n");
        var body = method == "POST" ? $"body of {id}" : null;
        if (wire is not null)
        {
            try
            {
                await wire.SendAsync(method, _host, "/", body, extra, cancel);
                return (wire, await wire.ReadAsync(cancel));
            }
            catch (Exception e) when (e is SocketException or IOException && !wire.AnswerStarted)
            {
                wire.Dispose();
                Interlocked.Increment(ref _resent);
            }
        }
        wire = await ConnectAsync(number, cancel);
        try
        {
            await wire.SendAsync(method, _host, "/", body, extra, cancel);
            return (wire, await wire.ReadAsync(cancel));
        }
        catch
        {
            wire.Dispose();
            throw;
        }
    }

    private async Task<Wire> ConnectAsync(int number, CancellationToken cancel)
    {
        for (var tried = 0; ; tried++)
        {
            var proxy = _proxies[(number / 2 + tried) % _proxies.Length];
            var wire = new Wire();
            try
            {
                await wire.ConnectAsync(proxy.Address, proxy.Port, cancel);
                return wire;
            }
            catch (SocketException) when (tried < _proxies.Length - 1)
            {
                wire.Dispose();
                Interlocked.Increment(ref _movedOn);
            }
            catch
            {
                wire.Dispose();
                throw;
            }
        }
    }

    private void Fail(string reason) => _failures.AddOrUpdate(reason, 1, (_, n) => n + 1);

    private static void Drop(ref Wire? wire)
    {
        wire?.Dispose();
        wire = null;
    }
}
