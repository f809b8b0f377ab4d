using Millau.Forwarding;

namespace Millau.Tests.Wire;

/// <summary>What those who watch are told of a request, and what an instance's tally says after it.</summary>
public class RequestOutcomeTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private const string Get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

    private readonly RecordedRequests _requests = new();

    [Fact]
    public async Task An_answered_request_is_told_from_start_to_end()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartWatchedAsync(_requests, TestProxy.Service(instance.EndPoint));

        await proxy.GetAsync();

        var ended = Assert.Single(await _requests.EndedAsync(1));
        Assert.Equal(["started", "attempt app-1", "answered 200", "attempt ended None", "ended"], _requests.Calls);
        Assert.Equal(($":{proxy.EndPoint.Port}", "http", "app", "app-1"), (ended.Port, ended.Protocol, ended.Service, ended.Instance));
        Assert.Equal((1, 200, 200, 0L, 2L), (ended.Attempts, ended.InstanceStatus, ended.Status, ended.RequestBytes, ended.ResponseBytes));
        Assert.False(ended.ClientGone || ended.IsCut);
        Assert.True(0 < ended.Started && ended.Started <= ended.Answered && ended.Answered <= ended.EndedAt);
    }

    [Theory]
    [InlineData("Content-Length: 4\r\n\r\nbody")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n3\r\nbod\r\n1\r\ny\r\n0\r\n\r\n")]
    public async Task Bytes_are_those_of_bodies_without_their_framing(string body)
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadUntilAsync(body.StartsWith("Content", StringComparison.Ordinal) ? "body" : "0\r\n\r\n");
            await connection.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n");
        });
        await using var proxy = await TestProxy.StartWatchedAsync(_requests, TestProxy.Service(instance.EndPoint));

        await proxy.RoundTripAsync("POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n" + body);

        var ended = Assert.Single(await _requests.EndedAsync(1));
        Assert.Equal((4L, 5L), (ended.RequestBytes, ended.ResponseBytes));
    }

    [Fact]
    public async Task A_second_attempt_is_told_with_what_became_of_the_first()
    {
        await using var one = new ScriptedInstance();
        await using var two = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartWatchedAsync(_requests, TestProxy.Service(one.EndPoint, two.EndPoint));
        await one.RefuseAsync();

        await proxy.GetAsync();

        var ended = Assert.Single(await _requests.EndedAsync(1));
        Assert.Equal(
            ["started", "attempt app-1", "attempt ended Connect", "attempt app-2", "answered 200", "attempt ended None", "ended"],
            _requests.Calls);
        Assert.Equal((2, AttemptFailure.Connect, "app-2"), (ended.Attempts, ended.LastFailure, ended.Instance));
    }

    [Fact]
    public async Task A_request_that_nothing_matches_has_no_service()
    {
        await using var proxy = await TestProxy.StartWatchedAsync(_requests);

        var answer = await proxy.GetAsync();

        var ended = Assert.Single(await _requests.EndedAsync(1));
        Assert.Equal((null, 0, 0, 502), (ended.Service, ended.Attempts, ended.InstanceStatus, ended.Status));
        Assert.Equal(answer.Length - answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) - 4, ended.ResponseBytes);
    }

    [Fact]
    public async Task A_request_that_nobody_answers_belongs_to_the_service_that_matched()
    {
        await using var proxy = await TestProxy.StartWatchedAsync(_requests, TestProxy.Service());

        await proxy.GetAsync();

        var ended = Assert.Single(await _requests.EndedAsync(1));
        Assert.Equal(("app", null, 0, 502), (ended.Service, ended.Instance, ended.InstanceStatus, ended.Status));
    }

    [Theory]
    [InlineData("TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n", 501)]
    [InlineData("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400)]
    public async Task A_refused_request_ends_with_its_status(string request, int status)
    {
        await using var instance = new ScriptedInstance(connection => connection.ReadToEndAsync());
        await using var proxy = await TestProxy.StartWatchedAsync(_requests, TestProxy.Service(instance.EndPoint));

        Assert.StartsWith($"HTTP/1.1 {status} ", await proxy.RoundTripAsync(request));

        var ended = Assert.Single(await _requests.EndedAsync(1));
        Assert.Equal((status, 0), (ended.Status, ended.InstanceStatus));
    }

    [Fact]
    public async Task A_client_that_goes_before_an_answer_is_told_as_gone_and_leaves_nothing_in_flight()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartWatchedAsync(_requests, TestProxy.Service(instance.EndPoint));
        var client = await proxy.ConnectAsync();
        await client.SendAsync(Get);
        await (await instance.AcceptAsync()).ReadHeadAsync();
        var tally = proxy.Proxy.Instances.Single().Tally;
        Assert.Equal(1, tally.InFlight);

        client.Reset();

        var ended = Assert.Single(await _requests.EndedAsync(1));
        Assert.True(ended.ClientGone);
        Assert.Equal((0, 0), (ended.Status, ended.InstanceStatus));
        Assert.Equal((0, 0L, 0L), (tally.InFlight, tally.Answers, tally.Failures));
    }

    [Fact]
    public async Task An_answer_that_breaks_off_is_told_as_cut()
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        });
        await using var proxy = await TestProxy.StartWatchedAsync(_requests, TestProxy.Service(instance.EndPoint));

        await proxy.GetAsync();

        var ended = Assert.Single(await _requests.EndedAsync(1));
        Assert.Equal((true, false, 200, 4L), (ended.IsCut, ended.ClientGone, ended.Status, ended.ResponseBytes));
    }

    [Fact]
    public async Task A_tunnel_counts_what_passes_both_ways()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartWatchedAsync(_requests, TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        await using var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly");
        await client.ReadUntilAsync("early");
        await client.SendAsync("ping");
        await upstream.ReadAsync(4);

        await upstream.DisposeAsync();

        var ended = Assert.Single(await _requests.EndedAsync(1));
        Assert.Equal((101, 101, 4L, 5L), (ended.InstanceStatus, ended.Status, ended.RequestBytes, ended.ResponseBytes));
    }

    [Fact]
    public async Task The_tally_of_an_instance_has_its_answers_failures_and_latency()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartWatchedAsync(_requests, TestProxy.Service(instance.EndPoint));
        var tally = proxy.Proxy.Instances.Single().Tally;

        for (var i = 0; i < 3; i++) await proxy.GetAsync();
        await _requests.EndedAsync(3);
        Assert.Equal((0, 3L, 0L, null), (tally.InFlight, tally.Answers, tally.Failures, tally.LastFailure));
        Assert.InRange(tally.Latency.TotalMilliseconds, 0.001, 10_000);

        await instance.DisposeAsync();
        await proxy.GetAsync();
        await _requests.EndedAsync(4);
        Assert.True(tally.Failures > 0);
        Assert.Equal("connection refused or failed", tally.LastFailure!.Reason);
        Assert.InRange(DateTimeOffset.UtcNow - tally.LastFailure.At, TimeSpan.Zero, TimeSpan.FromMinutes(1));
    }
}
