using System.Collections.Concurrent;
using Millau.Ingress;
using Millau.Tests.Wire;
using Millau.Tests.Wire.Http2;

namespace Millau.Tests.Hostile;

/// <summary>
/// Stream n + 1 where n are allowed (RFC 9113 section 5.1.2): it is refused, so that its client may send it again, and costs the n
/// nothing. A client may open it before it has read how many are allowed.
/// </summary>
public class Http2StreamLimitTests
{
    private const int Allowed = 4;
    private const string AtOnce = "/at-once";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task The_limit_is_announced()
    {
        await using var proxy = await StartAsync(null);
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        Assert.Equal((uint)Allowed, client.Settings[Http2Setting.MaxConcurrentStreams]);
    }

    [Fact]
    public async Task One_stream_more_is_refused_while_the_others_go_on_and_another_may_open_when_one_has_ended()
    {
        var gate = new TaskCompletionSource();
        var seen = new ConcurrentBag<string>();
        await using var instance = Holding(seen, gate.Task);
        await using var proxy = await StartAsync(instance);
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var open = new List<int>();
        for (var i = 1; i <= Allowed; i++) open.Add(await client.OpenAsync(Http2Client.Request(path: $"/{i}"), end: true));
        var more = await client.OpenAsync(Http2Client.Request(path: "/more"), end: true);

        Assert.Equal(Http2Error.RefusedStream, (await client.AnswerAsync(more)).ResetCode);
        Assert.All(open, stream => Assert.False(client[stream].IsOver));
        gate.SetResult();
        foreach (var stream in open) Assert.Equal("ok", (await client.AnswerAsync(stream)).Body);
        Assert.Equal("ok", (await client.GetAsync(Http2Client.Request(path: "/again"))).Body);
        Assert.Null(client.GoAway);
        Assert.Equal(["/1", "/2", "/3", "/4", "/again"], seen.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Of_many_streams_that_come_in_one_packet_exactly_as_many_as_are_allowed_reach_an_instance()
    {
        var gate = new TaskCompletionSource();
        var seen = new ConcurrentBag<string>();
        await using var instance = Holding(seen, gate.Task);
        await using var proxy = await StartAsync(instance);
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        var streams = Enumerable.Range(0, Allowed + 3).Select(i => 2 * i + 1).ToArray();
        await client.Connection.SendAsync(streams.SelectMany(s => Http2Frame.Make(
            Http2Frame.Headers, Http2Frame.EndHeaders | Http2Frame.EndStream, s, Http2Client.Request(path: $"/{s}").ToArray())).ToArray());
        foreach (var stream in streams[Allowed..]) Assert.Equal(Http2Error.RefusedStream, (await client.AnswerAsync(stream)).ResetCode);
        gate.SetResult();

        foreach (var stream in streams[..Allowed]) Assert.Equal("ok", (await client.AnswerAsync(stream)).Body);
        Assert.Equal(["/1", "/3", "/5", "/7"], seen.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_stream_that_its_client_resets_makes_room_for_another()
    {
        var gate = new TaskCompletionSource();
        var seen = new ConcurrentBag<string>();
        await using var instance = Holding(seen, gate.Task);
        await using var proxy = await StartAsync(instance);
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        for (var i = 1; i < Allowed; i++) await client.OpenAsync(Http2Client.Request(path: "/kept"), end: true);
        var reset = await client.OpenAsync(Http2Client.Request(path: "/reset"), end: true);
        Assert.Equal(Http2Error.RefusedStream, (await client.GetAsync(Http2Client.Request(path: AtOnce))).ResetCode);

        await client.ResetAsync(reset);

        // Its place is free when the proxy is done with it, a moment later.
        var answer = await client.GetAsync(Http2Client.Request(path: AtOnce));
        for (var i = 0; i < 500 && answer.ResetCode is not null; i++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(10), TestContext.Current.CancellationToken);
            answer = await client.GetAsync(Http2Client.Request(path: AtOnce));
        }
        Assert.Equal((null, "ok"), (answer.ResetCode, answer.Body));
        gate.SetResult();
    }

    [Fact]
    public async Task What_a_refused_stream_put_into_the_table_counts_for_those_after_it()
    {
        var gate = new TaskCompletionSource();
        var heads = new ConcurrentBag<string>();
        await using var instance = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 } head)
            {
                heads.Add(head);
                await gate.Task;
                await connection.SendAsync(Ok);
            }
        });
        await using var proxy = await StartAsync(instance);
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var open = new List<int>();
        for (var i = 0; i < Allowed; i++) open.Add(await client.OpenAsync(Http2Client.Request(), end: true));

        var refused = await client.OpenAsync(Http2Client.Request().AddToTable("x-table", "kept"), end: true);
        Assert.Equal(Http2Error.RefusedStream, (await client.AnswerAsync(refused)).ResetCode);
        gate.SetResult();
        foreach (var stream in open) await client.AnswerAsync(stream);

        Assert.Equal("ok", (await client.GetAsync(Http2Client.Request().AddIndexed(HeaderBlock.Newest))).Body);
        Assert.Single(heads, h => h.Contains("x-table: kept\r\n", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_body_of_a_refused_stream_that_is_on_its_way_already_costs_the_others_nothing()
    {
        var gate = new TaskCompletionSource();
        var seen = new ConcurrentBag<string>();
        await using var instance = Holding(seen, gate.Task);
        await using var proxy = await StartAsync(instance);
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var open = new List<int>();
        for (var i = 1; i <= Allowed; i++) open.Add(await client.OpenAsync(Http2Client.Request(path: $"/{i}"), end: true));

        var more = await client.OpenAsync(Http2Client.Request("POST", "/more"), end: false);
        for (var i = 0; i < 3; i++) await client.SendDataAsync(more, new byte[16_000], end: i == 2);

        Assert.Equal(Http2Error.RefusedStream, (await client.AnswerAsync(more)).ResetCode);
        await client.PingAsync();
        Assert.Null(client.GoAway);
        gate.SetResult();
        foreach (var stream in open) Assert.Equal("ok", (await client.AnswerAsync(stream)).Body);
        Assert.DoesNotContain("/more", seen);
    }

    private static Task<TestProxy> StartAsync(ScriptedInstance? instance) => TestProxy.StartAsync(
        new ClientRules { Limits = new ClientLimits { Streams = Allowed } },
        instance is null ? [] : [TestProxy.Service(instance.EndPoint)]);

    // Notes the target of each request, and answers it when it may, or at once.
    private static ScriptedInstance Holding(ConcurrentBag<string> seen, Task gate) => new(async connection =>
    {
        while (await connection.ReadHeadAsync() is { Length: > 0 } head)
        {
            var target = head.Split(' ')[1];
            seen.Add(target);
            if (target != AtOnce) await gate;
            await connection.SendAsync(Ok);
        }
    });
}
