using System.Net;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests;

/// <summary>The log of the native binary.</summary>
public class LogTests
{
    [Fact]
    public async Task Requests_are_answered_while_nobody_takes_the_log()
    {
        await using var engine = await EngineStandIn.StartAsync();
        using var service = LoopbackService.Deploy(engine, "app", "app.test", async connection =>
        {
            if (await connection.WaitForBytesAsync() && await connection.ReadHeadAsync() is { Length: > 0 })
                await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        });
        await using var millau = await MillauBinary.StartUnreadAsync(engine, ("LOGGING", "DEBUG"));
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
        await Until.TrueAsync(async () => await GetAsync() == HttpStatusCode.OK, "routed");
        // Now it refuses, which is a line at DEBUG each time: a pipe holds 64 KiB, and 256 KiB wait in memory.
        service.Dispose();
        for (var i = 0; i < 1500; i++)
            Assert.Equal(HttpStatusCode.BadGateway, await GetAsync());

        millau.Process.ReadOutput();

        await Until.TrueAsync(() => millau.Output.Contains("WARN  log lines dropped", StringComparison.Ordinal), "said how many were dropped");

        async Task<HttpStatusCode> GetAsync()
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://127.0.0.1:{millau.Http}/200"));
            request.Headers.Host = string.Join('.', Enumerable.Repeat(new string('a', 60), 3)) + ".app.test";
            using var answer = await client.SendAsync(request);
            return answer.StatusCode;
        }
    }
}
