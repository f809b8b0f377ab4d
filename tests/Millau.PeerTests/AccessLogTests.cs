using System.Net;
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
}
