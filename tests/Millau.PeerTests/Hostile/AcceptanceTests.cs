using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests.Hostile;

/// <summary>
/// Requests under way while instances are killed, stopped (SIGSTOP) and reset connections at random, one always left in peace: no
/// POST is executed twice, and no GET fails, as the instances themselves counted. MILLAU_ACCEPTANCE_REQUESTS sets how many
/// requests there are; tests/acceptance runs 100,000.
/// </summary>
public class AcceptanceTests
{
    private const int Instances = 4, Clients = 32;

    [Fact]
    public async Task No_POST_is_executed_twice_and_no_GET_fails_while_one_instance_lives()
    {
        var requests = int.Parse(Environment.GetEnvironmentVariable("MILLAU_ACCEPTANCE_REQUESTS") ?? "3000", CultureInfo.InvariantCulture);
        var record = Directory.CreateTempSubdirectory("millau-acceptance");
        await using var engine = await EngineStandIn.StartAsync();
        await using var fleet = new Fleet(engine, record.FullName);
        for (var i = 0; i < Instances; i++) await fleet.StartAsync(i);
        await using var millau = await MillauBinary.StartAsync(engine);
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = Clients, AllowAutoRedirect = false })
        {
            BaseAddress = new Uri($"http://127.0.0.1:{millau.Http}/"),
            Timeout = TimeSpan.FromSeconds(60),
        };
        await Until.TrueAsync(async () => (await GetAsync(http)) == HttpStatusCode.OK, "routed");

        using var over = new CancellationTokenSource();
        var chaos = fleet.DisturbAsync(over.Token);
        var next = 0;
        var failedGets = new ConcurrentBag<string>();
        var answered = new ConcurrentBag<string>();
        int gets = 0, posts = 0, failedPosts = 0;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async _ =>
        {
            for (int i; (i = Interlocked.Increment(ref next)) <= requests;)
            {
                if (i % 5 != 0)
                {
                    Interlocked.Increment(ref gets);
                    try
                    {
                        using var answer = await http.GetAsync(new Uri("text", UriKind.Relative));
                        if (answer.StatusCode != HttpStatusCode.OK) failedGets.Add($"{i}: {answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
                    }
                    catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
                    {
                        failedGets.Add($"{i}: {e.Message}");
                    }
                    continue;
                }
                Interlocked.Increment(ref posts);
                using var post = new HttpRequestMessage(HttpMethod.Post, new Uri("text", UriKind.Relative)) { Content = new StringContent("body") };
                post.Headers.Add("X-Request-Id", $"p{i}");
                try
                {
                    using var answer = await http.SendAsync(post);
                    if (answer.StatusCode == HttpStatusCode.OK) answered.Add($"p{i}");
                    else Interlocked.Increment(ref failedPosts);
                }
                catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
                {
                    Interlocked.Increment(ref failedPosts);
                }
            }
        }));
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        await over.CancelAsync();
        await chaos;
        await fleet.DisposeAsync();

        var executed = record.GetFiles().SelectMany(f => File.ReadAllLines(f.FullName)).GroupBy(l => l).ToDictionary(g => g.Key, g => g.Count());
        var twice = executed.Where(e => e.Value > 1).Select(e => e.Key).ToList();
        var lost = answered.Where(id => !executed.ContainsKey(id)).ToList();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"acceptance: requests={requests} gets={gets} gets-failed={failedGets.Count} posts={posts} posts-answered={answered.Count} posts-failed={failedPosts} posts-executed-twice={twice.Count} answered-but-not-executed={lost.Count} killed={fleet.Killed} stopped={fleet.Stopped} seconds={seconds:0}"));
        record.Delete(recursive: true);
        Assert.Empty(failedGets);
        Assert.Empty(twice);
        Assert.Empty(lost);
        Assert.True(fleet.Killed + fleet.Stopped > 0, "nothing was disturbed");
    }

    private static async Task<HttpStatusCode> GetAsync(HttpClient http)
    {
        try
        {
            using var answer = await http.GetAsync(new Uri("text", UriKind.Relative));
            return answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            return HttpStatusCode.BadGateway;
        }
    }

    /// <summary>Instances in processes of their own, and what happens to them.</summary>
    private sealed class Fleet(EngineStandIn engine, string record) : IAsyncDisposable
    {
        private readonly int _port = Ports.Free();
        private readonly Tool?[] _processes = new Tool?[Instances];
        private readonly StandInTask?[] _tasks = new StandInTask?[Instances];
        private readonly Random _random = new(7);
        private StandInService? _service;
        private int _number;

        public int Killed { get; private set; }

        public int Stopped { get; private set; }

        public async Task StartAsync(int i)
        {
            _service ??= StandInStack.Add(engine, "app", _port, ("millau.timeout", "1"), ("millau.retry", "0.5"));
            var address = $"127.43.0.{i + 2}";
            var process = Tool.Start(
                Path.Combine(MillauBinary.Root, "tests/EchoService/bin/Debug/net10.0/echo"), [],
                new Dictionary<string, string?>
                {
                    ["PORT"] = $"{_port}", ["ADDRESS"] = address, ["NAME"] = $"app-{i}-{++_number}", ["RECORD"] = record, ["RESET_EVERY"] = "211",
                });
            _processes[i] = process;
            await Until.TrueAsync(() => process.Output.Contains("listening", StringComparison.Ordinal), $"instance {i} listens: {process.Output}");
            _tasks[i] = StandInStack.Run(engine, _service, i + 1, address);
        }

        /// <summary>Kills or stops one after the other; the first is left in peace, but for the connections that it resets.</summary>
        public async Task DisturbAsync(CancellationToken over)
        {
            while (!over.IsCancellationRequested)
            {
                try
                {
                    await Task.Delay(_random.Next(20, 150), over);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
                var i = _random.Next(1, Instances);
                if (_random.Next(2) == 0)
                {
                    Killed++;
                    await _processes[i]!.SignalAsync("KILL");
                    // The Engine notices later than those who are connected.
                    await Task.Delay(_random.Next(300), CancellationToken.None);
                    var task = _tasks[i]!;
                    engine.Change(e => e.Tasks.Remove(task));
                    await _processes[i]!.DisposeAsync();
                    await StartAsync(i);
                }
                else
                {
                    Stopped++;
                    await _processes[i]!.SignalAsync("STOP");
                    await Task.Delay(_random.Next(200, 2500), CancellationToken.None);
                    await _processes[i]!.SignalAsync("CONT");
                }
            }
        }

        public async ValueTask DisposeAsync()
        {
            for (var i = 0; i < Instances; i++)
            {
                if (_processes[i] is { } process) await process.DisposeAsync();
                _processes[i] = null;
            }
        }
    }
}
