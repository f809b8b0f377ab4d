using System.Globalization;
using System.Text.RegularExpressions;
using Millau.Demo;
using Millau.PeerTests.Support;
using Millau.Tests.Wire;

namespace Millau.PeerTests;

/// <summary>
/// Budgets of what the native binary allocates on its collected heap for one request, in bytes. They hold on any machine: a
/// count does not depend on its speed. Whoever needs more changes the budget here, and says for what.
/// </summary>
public sealed class AllocationTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("millau-allocation-");

    private const string Answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

    private const string ChunkedAnswer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public Task A_get() => CostsAtMostAsync(64, "--h1", "http");

    [Fact]
    public Task A_post_with_a_body() => CostsAtMostAsync(64, "--h1", "http", bodyLength: 1000);

    [Fact]
    public Task A_get_with_a_chunked_answer() => CostsAtMostAsync(64, "--h1", "http", answer: ChunkedAnswer);

    [Fact]
    public Task A_get_with_https() => CostsAtMostAsync(128, "--h1", "https");

    [Fact]
    public Task A_get_with_http2() => CostsAtMostAsync(192, "-m10", "https");

    [Fact]
    public async Task A_get_that_is_sent_again_on_a_fresh_connection()
    {
        // Each connection answers one request and closes with the next.
        var served = 0;
        await CostsAtMostAsync(3584, "--h1", "http", clients: 1, serve: async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync(Answer);
            Interlocked.Increment(ref served);
            if (await connection.WaitForBytesAsync()) await connection.ReadHeadAsync();
        });
        Assert.True(served > 1000, $"{served} connections answered");
    }

    /// <param name="budget">Bytes a request.</param>
    /// <param name="protocol">What h2load is told.</param>
    /// <param name="scheme">http or https.</param>
    /// <param name="answer">What the instance says to each request.</param>
    /// <param name="bodyLength">Of each request; 0 for GET.</param>
    /// <param name="clients">Connections of h2load.</param>
    /// <param name="serve">Instead of <paramref name="answer"/>: what the instance does with a connection.</param>
    private async Task CostsAtMostAsync(
        int budget, string protocol, string scheme, string answer = Answer, int bodyLength = 0, int clients = 8,
        Func<ScriptedConnection, Task>? serve = null)
    {
        var requests = clients == 1 ? 1500 : 6000;
        await using var engine = await EngineStandIn.StartAsync();
        using var service = LoopbackService.Deploy(engine, "app", null, serve ?? (connection => AnswerAllAsync(connection, answer, bodyLength)));
        await using var millau = await MillauBinary.StartAsync(engine);
        string[] body = [];
        if (bodyLength > 0)
        {
            var file = Path.Combine(_directory.FullName, "body");
            await File.WriteAllBytesAsync(file, new byte[bodyLength]);
            body = ["-d", file];
        }

        // What is made once, for a connection or for a context that is used again, does not count.
        await LoadAsync(requests / 2);
        var scrape = await AllocatedAsync(millau.Telemetry);
        var before = await AllocatedAsync(millau.Telemetry);
        await LoadAsync(requests);
        var after = await AllocatedAsync(millau.Telemetry);

        var each = (after - before - (before - scrape)) / requests;
        TestContext.Current.TestOutputHelper?.WriteLine($"{each:0} bytes a request, budget {budget}");
        // Kept alive, a request may cost so little that the scrapes, which are taken off, weigh as much; but the count goes on.
        Assert.True(before > scrape && after > before, $"{scrape}, {before}, {after} bytes");
        Assert.True(each <= budget, $"{each:0} bytes a request");

        async Task LoadAsync(int count)
        {
            var port = scheme == "https" ? millau.Https : millau.Http;
            var load = await Tool.RunAsync(
                "h2load", ["-n", $"{count}", "-c", $"{clients}", protocol, .. body, $"{scheme}://127.0.0.1:{port}/"]);
            Assert.Contains($"status codes: {count} 2xx", load.Succeeded);
        }
    }

    private static async Task AnswerAllAsync(ScriptedConnection connection, string answer, int bodyLength)
    {
        while (await connection.WaitForBytesAsync() && (await connection.ReadHeadAsync()).Length > 0)
        {
            await connection.ReadAsync(bodyLength);
            await connection.SendAsync(answer);
        }
    }

    private static async Task<double> AllocatedAsync(int port)
    {
        using var client = new HttpClient { Timeout = Until.Deadline };
        var metrics = await client.GetStringAsync(new Uri($"http://127.0.0.1:{port}/metrics"));
        return double.Parse(
            Regex.Match(metrics, @"^dotnet_gc_allocated_bytes_total (\S+)$", RegexOptions.Multiline).Groups[1].Value, CultureInfo.InvariantCulture);
    }
}
