using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Telemetry.Access;

namespace Millau.Tests.Wire;

/// <summary>What the access log says of requests on real connections.</summary>
public sealed class AccessLogTests : IDisposable
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private readonly RecordedOutput _output = new();
    private readonly AccessLog _log;

    public AccessLogTests() => _log = new AccessLog(AccessLogFormat.Json, _output, TimeProvider.System, NullLogger.Instance);

    public void Dispose() => _log.Dispose();

    [Fact]
    public async Task An_answered_request_is_told_once()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartWatchedAsync(_log, TestProxy.Service(instance.EndPoint));

        await proxy.RoundTripAsync("POST /x?y=1 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: me\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");

        var line = Assert.Single(await LinesAsync(1));
        Assert.Equal(("POST", "/x?y=1", "me", "app", "app-1", "answered"), (Text(line, "method"), Text(line, "target"), Text(line, "user_agent"),
            Text(line, "service"), Text(line, "instance"), Text(line, "outcome")));
        Assert.Equal((200, 2, 1), (Number(line, "status"), Number(line, "response_bytes"), Number(line, "attempts")));
        Assert.Equal($":{proxy.EndPoint.Port}", Text(line, "port"));
        Assert.InRange(Number(line, "upstream_time"), 0, Number(line, "duration"));
    }

    [Fact]
    public async Task A_failover_shows_in_the_attempts()
    {
        await using var dead = new ScriptedInstance();
        await using var alive = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartWatchedAsync(_log, TestProxy.Service(dead.EndPoint, alive.EndPoint));
        await dead.RefuseAsync();

        await proxy.GetAsync();

        var line = Assert.Single(await LinesAsync(1));
        Assert.Equal((2, "app-2", "answered"), (Number(line, "attempts"), Text(line, "instance"), Text(line, "outcome")));
    }

    [Fact]
    public async Task A_request_that_every_instance_failed_says_how()
    {
        await using var instance = new ScriptedInstance(async connection => await connection.ReadHeadAsync());
        await using var proxy = await TestProxy.StartWatchedAsync(_log, TestProxy.Service(instance.EndPoint));

        await proxy.GetAsync();

        var line = Assert.Single(await LinesAsync(1));
        Assert.Equal((502, "closed", "app-1"), (Number(line, "status"), Text(line, "outcome"), Text(line, "instance")));
        Assert.False(line.TryGetProperty("upstream_time", out _));
    }

    [Fact]
    public async Task A_client_that_goes_before_the_answer_is_499()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartWatchedAsync(_log, TestProxy.Service(instance.EndPoint));
        var client = await proxy.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        await (await instance.AcceptAsync()).ReadHeadAsync();
        client.Reset();

        var line = Assert.Single(await LinesAsync(1));
        Assert.Equal((499, "client_gone"), (Number(line, "status"), Text(line, "outcome")));
    }

    [Fact]
    public async Task An_answer_that_breaks_off_is_cut()
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        });
        await using var proxy = await TestProxy.StartWatchedAsync(_log, TestProxy.Service(instance.EndPoint));

        await proxy.GetAsync();

        var line = Assert.Single(await LinesAsync(1));
        Assert.Equal((200, 4, "cut"), (Number(line, "status"), Number(line, "response_bytes"), Text(line, "outcome")));
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", 502, "no_route")]
    [InlineData("TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n", 501, "refused")]
    [InlineData("GET /a\\b HTTP/1.1\r\nHost: a.test\r\n\r\n", 400, "refused")]
    public async Task What_goes_to_no_instance_is_told_too(string request, int status, string outcome)
    {
        await using var proxy = await TestProxy.StartWatchedAsync(_log);

        await proxy.RoundTripAsync(request);

        var line = Assert.Single(await LinesAsync(1));
        Assert.Equal((status, outcome, 0), (Number(line, "status"), Text(line, "outcome"), Number(line, "attempts")));
    }

    [Fact]
    public async Task A_request_that_waited_says_how_long()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        var service = TestProxy.Service(instance.EndPoint);
        await using var proxy = await TestProxy.StartWatchedAsync(_log, service with { Instances = [], IsStarting = true });
        var answer = proxy.GetAsync();
        await Eventually.TrueAsync(() => proxy.Proxy.WaitingRequests == 1);

        await proxy.ApplyAsync(service);

        Assert.StartsWith("HTTP/1.1 200", await answer);
        var line = Assert.Single(await LinesAsync(1));
        Assert.InRange(Number(line, "parked"), 0.000001, Number(line, "duration"));
    }

    [Fact]
    public async Task A_tunnel_is_told_when_it_ends()
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
            await connection.ReadAsync(4);
            await connection.SendAsync("pong!");
        });
        await using var proxy = await TestProxy.StartWatchedAsync(_log, TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        await client.ReadHeadAsync();
        await client.SendAsync("ping");
        await client.ReadToEndAsync();

        var line = Assert.Single(await LinesAsync(1));
        Assert.Equal((101, 4, 5, "answered"), (Number(line, "status"), Number(line, "request_bytes"), Number(line, "response_bytes"), Text(line, "outcome")));
    }

    [Fact]
    public async Task With_TLS_the_version_and_the_name_are_told()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartWatchedAsync(_log, TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectTlsAsync("a.test");
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        await client.ReadResponseAsync();

        var line = Assert.Single(await LinesAsync(1));
        Assert.Equal(("https", "TLSv1.3", "a.test"), (Text(line, "scheme"), Text(line, "tls_version"), Text(line, "tls_server_name")));
    }

    /// <summary>The lines, once there are this many: they are written a moment after the answer.</summary>
    private async Task<JsonElement[]> LinesAsync(int count)
    {
        await Eventually.TrueAsync(() => _output.Lines.Length >= count, "no access line");
        return [.. _output.Lines.Select(line => JsonDocument.Parse(line).RootElement)];
    }

    private static string? Text(JsonElement line, string name) => line.GetProperty(name).GetString();

    private static double Number(JsonElement line, string name) => line.GetProperty(name).GetDouble();
}
