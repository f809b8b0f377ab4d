using System.Diagnostics;
using System.Text;
using Millau.Tests.Wire.Http2;

namespace Millau.Tests.Wire;

/// <summary>
/// Clients and instances that are far away: 100 ms in each direction. Nothing may be lost to the time in which two sides know
/// different things, nor take more turns than it has to. What is measured is printed.
/// </summary>
public class LongWayTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    // What Millau grants for a stream and for a connection of HTTP/2 (docs/request-flow.md), in bytes.
    private const int StreamWindow = 512 * 1024, ConnectionWindow = 768 * 1024;

    private static readonly TimeSpan Way = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Turn = 2 * Way;

    [Fact]
    public async Task A_kept_connection_to_an_instance_far_away_makes_a_request_one_turn()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var way = new LongWay(instance.EndPoint, Way);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(way.EndPoint));
        await using var client = await proxy.ConnectAsync();
        var started = Stopwatch.GetTimestamp();

        for (var i = 0; i < 5; i++)
        {
            await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            Assert.EndsWith("ok", await client.ReadResponseAsync());
        }

        Turns(started, "5 GETs one after the other, instance far away", least: 5, most: 40);
        Assert.Equal(1, instance.Connections);
    }

    [Theory]
    [InlineData("GET", true)]
    [InlineData("POST", false)]
    public async Task A_request_that_crosses_the_end_of_its_kept_connection_is_not_lost_nor_executed_twice(string method, bool repeated)
    {
        var executed = 0;
        var first = new TaskCompletionSource<ScriptedConnection>();
        await using var instance = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 })
            {
                Interlocked.Increment(ref executed);
                await connection.SendAsync(Ok);
                first.TrySetResult(connection);
            }
        });
        await using var way = new LongWay(instance.EndPoint, Way);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(way.EndPoint));
        Assert.EndsWith("ok", await proxy.GetAsync());

        // Its end is under way to us while the request is to it.
        (await first.Task).Cut();
        var answer = await proxy.RoundTripAsync($"{method} / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");

        Assert.StartsWith(repeated ? "HTTP/1.1 200" : "HTTP/1.1 502", answer);
        Assert.Equal(repeated ? 2 : 1, executed);
        Assert.Equal(0, proxy.Log.Count("instance left out"));
    }

    [Fact]
    public async Task An_instance_far_away_that_breaks_off_is_replaced_by_the_next()
    {
        await using var bad = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            connection.Reset();
        });
        await using var good = ScriptedInstance.Answering(Ok);
        await using var toBad = new LongWay(bad.EndPoint, Way);
        await using var toGood = new LongWay(good.EndPoint, Way);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(toBad.EndPoint, toGood.EndPoint));
        var started = Stopwatch.GetTimestamp();

        for (var i = 0; i < 4; i++) Assert.EndsWith("ok", await proxy.GetAsync());

        // One turn is the one that is lost with the first instance, which then is left out.
        Turns(started, "4 GETs, of which one meets an instance that resets", least: 5, most: 40);
        Assert.Equal(1, bad.Connections);
    }

    [Fact]
    public async Task Requests_that_are_pipelined_from_far_away_share_one_turn()
    {
        const int requests = 20;
        var number = 0;
        await using var instance = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 } head)
            {
                Assert.StartsWith($"GET /{number++} ", head);
                await connection.SendAsync(Ok);
            }
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var way = new LongWay(proxy.EndPoint, Way);
        await using var client = await ScriptedConnection.ConnectAsync(way.EndPoint);
        var started = Stopwatch.GetTimestamp();

        for (var i = 0; i < requests; i++) await client.SendAsync($"GET /{i} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        for (var i = 0; i < requests; i++) Assert.EndsWith("ok", await client.ReadResponseAsync());

        Turns(started, $"{requests} pipelined GETs, client far away", least: 1, most: 10);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_large_body_arrives_whole_both_ways(bool instanceIsFar)
    {
        const int size = 8_000_000;
        var bytes = new byte[size];
        new Random(1).NextBytes(bytes);
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            Assert.Equal(bytes, Encoding.Latin1.GetBytes(await connection.ReadAsync(size)));
            await connection.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            await connection.SendAsync(bytes);
        });
        await using var toInstance = new LongWay(instance.EndPoint, instanceIsFar ? Way : TimeSpan.Zero);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(toInstance.EndPoint));
        await using var toProxy = new LongWay(proxy.EndPoint, instanceIsFar ? TimeSpan.Zero : Way);
        await using var client = await ScriptedConnection.ConnectAsync(toProxy.EndPoint);
        var started = Stopwatch.GetTimestamp();

        await client.SendAsync($"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {size}\r\n\r\n");
        await client.SendAsync(bytes);
        await client.ReadHeadAsync();
        Assert.Equal(bytes, Encoding.Latin1.GetBytes(await client.ReadAsync(size)));

        // HTTP/1.1 has no windows of its own: what bounds it is TCP.
        Turns(started, $"8 MB up and down again by HTTP/1.1, {(instanceIsFar ? "instance" : "client")} far away", least: 1, most: 70);
    }

    [Theory]
    [InlineData(1, StreamWindow)]
    [InlineData(3, ConnectionWindow)]
    public async Task An_upload_by_http2_from_far_away_is_as_fast_as_its_windows_allow(int streams, int window)
    {
        const int size = 6 * 1024 * 1024;
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            Assert.Equal(size / streams, await connection.SkipAsync(size / streams));
            await connection.SendAsync(Ok);
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var way = new LongWay(proxy.TlsEndPoint, Way);
        await using var client = await Http2Client.ConnectAsync(way.EndPoint);
        // What the connection allows beyond its beginning may come behind the settings.
        await client.PingAsync();
        var started = Stopwatch.GetTimestamp();

        var uploads = new List<(int Stream, int Sent)>();
        for (var i = 0; i < streams; i++)
            uploads.Add((await client.OpenAsync(Http2Client.Request("POST").Add("content-length", $"{size / streams}"), end: false), 0));
        var piece = new byte[16 * 1024];
        while (uploads.Exists(u => u.Sent < size / streams))
        {
            await client.UntilAsync(() => client.Granted(0) > Total() && uploads.Exists(u => Room(u) > 0));
            for (var i = 0; i < streams; i++)
            {
                var (stream, sent) = uploads[i];
                var count = Math.Min(piece.Length, Room(uploads[i]));
                if (count <= 0) continue;
                await client.SendDataAsync(stream, piece.AsMemory(0, count), end: sent + count == size / streams);
                uploads[i] = (stream, sent + count);
            }
        }
        foreach (var (stream, _) in uploads) Assert.Equal("ok", (await client.AnswerAsync(stream)).Body);

        Promised(started, size, window, $"6 MiB up by HTTP/2 in {streams} stream(s)");

        int Total() => uploads.Sum(u => u.Sent);
        int Room((int Stream, int Sent) upload) => (int)Math.Min(
            Math.Min(client.Granted(upload.Stream) - upload.Sent, client.Granted(0) - Total()), size / streams - upload.Sent);
    }

    [Fact]
    public async Task A_download_by_http2_to_far_away_is_as_fast_as_the_client_allows()
    {
        const int size = 6 * 1024 * 1024, window = 512 * 1024;
        var bytes = new byte[size];
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            await connection.SendAsync(bytes);
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var way = new LongWay(proxy.TlsEndPoint, Way);
        await using var client = await Http2Client.ConnectAsync(way.EndPoint, window);
        await client.GrantAsync(0, window - 65535);
        await client.PingAsync();
        var started = Stopwatch.GetTimestamp();

        Assert.Equal(size, (await client.GetAsync()).BodyLength);

        Promised(started, size, window, "6 MiB down by HTTP/2, 512 KiB granted");
    }

    // A window a turn is what the protocol allows; much less would be our doing: with the windows that a connection has by default it
    // would be an eighth or a twelfth. A busy machine is slower, none is faster.
    private static void Promised(long started, int size, int window, string what)
    {
        var time = Stopwatch.GetElapsedTime(started);
        var promised = window / Turn.TotalSeconds;
        var rate = size / time.TotalSeconds;
        Print($"{what}: {time.TotalSeconds:0.00} s, {rate / 1e6:0.00} MB/s of {promised / 1e6:0.00} MB/s");
        Assert.InRange(rate / promised, 0.15, 1.1);
    }

    // How many times there and back it took. On a busy machine each takes longer.
    private static void Turns(long started, string what, double least, double most)
    {
        var turns = Stopwatch.GetElapsedTime(started) / Turn;
        Print($"{what}: {turns * Turn.TotalSeconds:0.00} s, {turns:0.0} turns");
        Assert.InRange(turns, least * 0.95, most);
    }

    private static void Print(string figure) => TestContext.Current.TestOutputHelper?.WriteLine($"long way: {figure}");
}
