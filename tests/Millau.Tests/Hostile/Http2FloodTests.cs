using Millau.Tests.Wire;
using Millau.Tests.Wire.Http2;

namespace Millau.Tests.Hostile;

/// <summary>
/// Rows 34 to 36 of the hostile table: much work for little. Each flood is of a fixed size; meanwhile another client is served, and
/// whoever does nothing else is cut.
/// What the process takes in memory and time is measured by the tests beside the native binary.
/// </summary>
public class Http2FloodTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task Streams_that_are_reset_at_once_cost_the_connection()
    {
        // Never answers, so that only the resets end the requests.
        await using var instance = new ScriptedInstance(async connection => await connection.ReadToEndAsync());
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        await FloodAsync(client, 50_000, i => Concat(
            Http2Frame.Make(Http2Frame.Headers, Http2Frame.EndHeaders | Http2Frame.EndStream, 2 * i + 1, Http2Client.Request().ToArray()),
            Http2Frame.Make(Http2Frame.ResetStream, 0, 2 * i + 1, [0, 0, 0, 8])));
        await ServedAsync(proxy, instance: null);

        await AssertCalmedAsync(client);
        // A thousand at once, and a few more for each second of it.
        Assert.InRange(instance.Connections, 0, 3000);
        Assert.Equal(0, proxy.Log.Count("request failed|instance left out"));
    }

    [Fact]
    public async Task A_head_that_never_ends_is_cut()
    {
        await using var proxy = await TestProxy.StartAsync();
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        await client.SendFrameAsync(Http2Frame.Headers, Http2Frame.EndStream, 1, Http2Client.Request().ToArray());
        var piece = new HeaderBlock().Add("x-a", new string('a', 8000)).ToArray();

        // More than 64 KiB.
        for (var i = 0; i < 9; i++) await client.SendFrameAsync(Http2Frame.Continuation, 0, 1, piece);

        await AssertCutAsync(client);
        await ServedAsync(proxy, null);
    }

    [Fact]
    public async Task A_flood_of_empty_continuations_is_cut()
    {
        await using var proxy = await TestProxy.StartAsync();
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        await client.SendFrameAsync(Http2Frame.Headers, Http2Frame.EndStream, 1, Http2Client.Request().ToArray());

        await FloodAsync(client, 20_000, _ => Http2Frame.Make(Http2Frame.Continuation, 0, 1, []));

        await AssertCalmedAsync(client);
        await ServedAsync(proxy, null);
    }

    [Fact]
    public async Task A_block_that_unpacks_to_much_more_is_cut()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var bomb = Http2Client.Request().AddToTable("x-a", new string('a', 4000));
        for (var i = 0; i < 10_000; i++) bomb.AddIndexed(HeaderBlock.Newest);

        Assert.True(bomb.Length < 16384);
        await client.OpenAsync(bomb, end: true);

        await AssertCutAsync(client);
        Assert.Equal(0, instance.Connections);
        await ServedAsync(proxy, instance);
    }

    [Fact]
    public async Task A_table_larger_than_allowed_is_cut()
    {
        await using var proxy = await TestProxy.StartAsync();
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);

        // Dynamic table size update to 2^20 (RFC 7541 section 6.3).
        await client.SendFrameAsync(Http2Frame.Headers, Http2Frame.EndHeaders | Http2Frame.EndStream, 1, new byte[] { 0x3f, 0xe1, 0xff, 0x3f });

        await AssertCutAsync(client);
    }

    [Theory]
    [InlineData("settings", true)]
    [InlineData("ping", true)]
    [InlineData("priority", true)]
    [InlineData("data", true)]
    [InlineData("unknown", true)]
    [InlineData("window", false)]
    public async Task A_flood_of_small_frames_holds_up_nobody_else_and_is_cut_if_it_moves_nothing(string kind, bool cut)
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            var head = await connection.ReadHeadAsync();
            if (head.StartsWith("POST", StringComparison.Ordinal)) await connection.ReadToEndAsync();
            else await connection.SendAsync(Ok);
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var stream = await client.OpenAsync(Http2Client.Request("POST"), end: false);
        var frame = kind switch
        {
            "settings" => Http2Frame.Make(Http2Frame.Settings, 0, 0, [0, 4, 0, 0, 0xff, 0xff]),
            "ping" => Http2Frame.Make(Http2Frame.Ping, 0, 0, new byte[8]),
            "priority" => Http2Frame.Make(Http2Frame.Priority, 0, stream, [0, 0, 0, 0, 1]),
            "window" => Http2Frame.Make(Http2Frame.WindowUpdate, 0, 0, [0, 0, 0, 1]),
            "data" => Http2Frame.Make(Http2Frame.Data, 0, stream, []),
            _ => Http2Frame.Make(0x42, 0, 0, new byte[8]),
        };

        // Nothing of what the server says to it is read.
        var flood = FloodAsync(client, 50_000, _ => frame);
        for (var i = 0; i < 10; i++) await ServedAsync(proxy, instance);
        await flood;

        if (cut) await AssertCalmedAsync(client);
        else await client.PingAsync();
        await ServedAsync(proxy, instance);
    }

    [Fact]
    public async Task A_client_that_grants_nothing_is_cut_when_it_is_below_the_least_rate()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint, window: 0);

        await client.OpenAsync(Http2Client.Request(), end: true);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin");

        // 240 bytes a second, after 5 s.
        await client.UntilEndAsync();
        Assert.Equal("", await upstream.ReadToEndAsync());
    }

    // Sends until it is refused. Several frames in a packet, as a flood would.
    private static async Task FloodAsync(Http2Client client, int count, Func<int, byte[]> frame)
    {
        const int batch = 100;
        for (var i = 0; i < count; i += batch)
        {
            var bytes = Concat([.. Enumerable.Range(i, batch).Select(frame)]);
            try
            {
                await client.Connection.SendAsync(bytes);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or System.Net.Sockets.SocketException)
            {
                // Cut, or not read any more because its answers are not.
                return;
            }
        }
    }

    // The connection ends; the end may have overtaken what was said before it.
    private static async Task AssertCalmedAsync(Http2Client client)
    {
        await client.UntilEndAsync();
        Assert.True(client.GoAway is null or Http2Error.EnhanceYourCalm, $"{client.GoAway}");
    }

    private static async Task AssertCutAsync(Http2Client client)
    {
        await client.UntilEndAsync();
        Assert.NotEqual(Http2Error.NoError, client.GoAway ?? Http2Error.ProtocolError);
    }

    private static async Task ServedAsync(TestProxy proxy, ScriptedInstance? instance)
    {
        await using var other = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        if (instance is not null) Assert.Equal("ok", (await other.GetAsync()).Body);
        else await other.PingAsync();
    }

    private static byte[] Concat(params byte[][] parts) => [.. parts.SelectMany(p => p)];
}
