using System.Globalization;
using System.Net;
using System.Text.Json;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests;

/// <summary>The access log of the native binary.</summary>
public class AccessLogTests
{
    [Fact]
    public async Task A_TERM_under_load_loses_no_line()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 2, "hello", ("millau.hosts", "app.test"));
        await using var millau = await MillauBinary.StartAsync(engine, ("ACCESS_LOG", "json"));
        var answered = 0;
        var load = Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
            while (true)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://127.0.0.1:{millau.Http}/counted"));
                request.Headers.Host = "app.test";
                try
                {
                    using var answer = await client.SendAsync(request);
                    if (answer.StatusCode == HttpStatusCode.OK) Interlocked.Increment(ref answered);
                }
                catch (HttpRequestException)
                {
                    // Refused: the listener is closed.
                    return;
                }
            }
        })).ToArray();
        await Until.TrueAsync(() => Task.FromResult(Volatile.Read(ref answered) > 1000), "under load");

        await millau.Process.SignalAsync("TERM");

        await Task.WhenAll(load);
        Assert.Equal(0, await millau.Process.WaitAsync());
        var told = millau.Output.Split('\n').Count(l => l.Contains("\"target\":\"/counted\"", StringComparison.Ordinal)
            && l.Contains("\"status\":200,\"outcome\":\"answered\"", StringComparison.Ordinal));
        Assert.Equal(answered, told);
    }

    [Fact]
    public async Task Requests_are_answered_while_nobody_takes_the_log_and_each_line_is_told_or_counted()
    {
        const int Requests = 1000;
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello", ("millau.hosts", "app.test"));
        await using var millau = await MillauBinary.StartUnreadAsync(engine, ("ACCESS_LOG", "json"));
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
        // About 16 KB a line: what is kept of them, 4 MiB, is full long before the end.
        var target = new Uri($"http://127.0.0.1:{millau.Http}/{new string('a', 7800)}");
        for (var i = 0; i < Requests; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, target) { Headers = { Host = "app.test" } };
            using var answer = await client.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
        var dropped = 0;
        await Until.TrueAsync(async () =>
        {
            var metrics = await client.GetStringAsync(new Uri($"http://127.0.0.1:{millau.Telemetry}/metrics"));
            var row = metrics.Split('\n').Single(l => l.StartsWith("millau_access_log_dropped_total ", StringComparison.Ordinal));
            return (dropped = int.Parse(row.Split(' ')[1], CultureInfo.InvariantCulture)) > 0;
        }, "lines are dropped, and counted");

        millau.Process.ReadOutput();

        await Until.TrueAsync(() => Task.FromResult(
            millau.Output.Split('\n').Count(l => l.Contains("\"outcome\":\"answered\"", StringComparison.Ordinal)) == Requests - dropped),
            "the lines that were kept");
        await Until.TrueAsync(() => Task.FromResult(millau.Output.Contains("access log lines dropped", StringComparison.Ordinal)), "said in the log");
    }

    [Fact]
    public async Task A_log_that_nobody_takes_does_not_keep_the_process_from_its_end()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello", ("millau.hosts", "app.test"));
        await using var millau = await MillauBinary.StartUnreadAsync(engine, ("ACCESS_LOG", "common"));
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
        for (var i = 0; i < 200; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://127.0.0.1:{millau.Http}/{new string('a', 7800)}"));
            request.Headers.Host = "app.test";
            (await client.SendAsync(request)).Dispose();
        }

        await millau.Process.SignalAsync("TERM");

        Assert.Equal(0, await millau.Process.WaitAsync());
    }

    [Theory]
    [InlineData("common", "COMMON")]
    [InlineData("combined", "COMBINED")]
    public async Task GoAccess_reads_each_line(string format, string called)
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello", ("millau.hosts", "app.test"));
        await using var millau = await MillauBinary.StartAsync(engine, ("ACCESS_LOG", format));
        string[][] visits =
        [
            ["/plain"], ["/a?b=c"], ["/post", "--data", "x=1"], ["/agent", "-A", "Mozilla/5.0 (X11; Linux x86_64) \"quoted\" \\ [x]"],
            ["/referer", "-e", "https://b.test/?q=\"x\""], ["/head", "-I"], ["/two-hosts", "-H", "Host: none.test"],
        ];
        foreach (var visit in visits)
            Assert.Equal(0, (await Tool.RunAsync("curl", ["-sS", "-H", "Host: app.test", $"http://127.0.0.1:{millau.Http}{visit[0]}", .. visit[1..]])).ExitCode);
        var lines = Array.Empty<string>();
        await Until.TrueAsync(() => Task.FromResult(
            (lines = [.. millau.Output.Split('\n').Where(l => l.Contains(" outcome=", StringComparison.Ordinal))]).Length == visits.Length), "a line a request");

        var directory = Directory.CreateTempSubdirectory("millau-goaccess-").FullName;
        try
        {
            await File.WriteAllLinesAsync(Path.Combine(directory, "access.log"), lines);
            var read = await Tool.RunAsync("goaccess", [Path.Combine(directory, "access.log"), "--no-global-config",
                $"--log-format={called}", "--no-progress", "--output", Path.Combine(directory, "report.json")]);
            Assert.True(read.ExitCode == 0, read.Error + read.Output);
            using var report = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(directory, "report.json")));
            var general = report.RootElement.GetProperty("general");
            Assert.Equal((visits.Length, 0), (general.GetProperty("valid_requests").GetInt32(), general.GetProperty("failed_requests").GetInt32()));
            var targets = report.RootElement.GetProperty("requests").GetProperty("data").EnumerateArray().Select(r => r.GetProperty("data").GetString()!).ToList();
            Assert.Contains("/plain", targets);
            Assert.Contains("/a?b=c", targets);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
