namespace Millau.Tests.Wire;

/// <summary>Bodies that are sent again, and those that cannot be.</summary>
public class ReplayTests
{
    private const int Kept = 1024 * 1024;

    [Theory]
    [InlineData(1, false)]
    [InlineData(10_000, false)]
    [InlineData(20_000, false)]
    [InlineData(Kept, false)]
    [InlineData(1, true)]
    [InlineData(100_000, true)]
    public async Task A_body_up_to_a_mebibyte_is_sent_again_whole(int size, bool chunked)
    {
        var body = Text(size);
        await using var one = new ScriptedInstance();
        await using var two = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        await using var client = await proxy.ConnectAsync();

        var sending = client.SendAsync(Request("PUT", body, chunked));
        var first = await one.AcceptAsync();
        Assert.Equal(body, await ReadBodyAsync(first, size, chunked));
        await first.DisposeAsync();
        var second = await two.AcceptAsync();
        Assert.Equal(body, await ReadBodyAsync(second, size, chunked));
        await second.SendAsync("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");

        await sending;
        Assert.StartsWith("HTTP/1.1 201 ", await client.ReadResponseAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_body_that_was_half_sent_is_sent_again_from_its_start_and_goes_on(bool chunked)
    {
        var body = Text(50_000);
        var request = Request("PUT", body, chunked);
        var half = request.Length / 2;
        await using var one = new ScriptedInstance();
        await using var two = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(request[..half]);
        var first = await one.AcceptAsync();
        await first.ReadHeadAsync();
        Assert.Equal(20_000, (await first.ReadAsync(20_000)).Length);
        first.Reset();
        var second = await two.AcceptAsync();
        var received = ReadBodyAsync(second, body.Length, chunked);
        await client.SendAsync(request[half..]);

        Assert.Equal(body, await received);
        await second.SendAsync("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 201 ", await client.ReadResponseAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_larger_body_is_not_sent_again(bool chunked)
    {
        const int size = Kept + 1;
        var body = Text(size);
        await using var one = new ScriptedInstance();
        await using var two = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Request("PUT", body, chunked));
        var first = await one.AcceptAsync();
        await ReadBodyAsync(first, size, chunked);
        await first.DisposeAsync();

        Assert.StartsWith("HTTP/1.1 502 ", await client.ReadResponseAsync());
        Assert.Equal(0, two.Connections);
    }

    [Fact]
    public async Task A_body_of_any_size_goes_on_after_a_refused_connection()
    {
        const int size = 2 * Kept;
        var body = Text(size);
        await using var one = new ScriptedInstance();
        await using var two = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        await one.RefuseAsync();

        for (var i = 0; i < 2; i++)
        {
            await using var client = await proxy.ConnectAsync();
            var sending = client.SendAsync(Request("POST", body, false));
            var upstream = await two.AcceptAsync();
            Assert.Equal(body, await ReadBodyAsync(upstream, size, false));
            await upstream.SendAsync("HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            await sending;
            Assert.StartsWith("HTTP/1.1 201 ", await client.ReadResponseAsync());
        }
    }

    [Fact]
    public async Task A_client_that_breaks_its_own_body_is_to_blame_itself()
    {
        await using var one = new ScriptedInstance();
        await using var two = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        var upstream = await one.AcceptAsync();
        await upstream.ReadUntilAsync("hello\r\n");
        await client.SendAsync("zz\r\n");

        Assert.DoesNotContain("0\r\n", await upstream.ReadToEndAsync());
        Assert.StartsWith("HTTP/1.1 400 ", await client.ReadToEndAsync());
        Assert.Equal(0, two.Connections);
        Assert.Equal(0, proxy.Log.Count("left out"));
    }

    private static string Text(int size) => string.Create(size, 0, static (chars, _) =>
    {
        for (var i = 0; i < chars.Length; i++) chars[i] = (char)('a' + i % 23);
    });

    private static string Request(string method, string body, bool chunked) => chunked
        ? $"{method} / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n" +
            string.Concat(body.Chunk(30_000).Select(c => $"{c.Length:x}\r\n{new string(c)}\r\n")) + "0\r\n\r\n"
        : $"{method} / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {body.Length}\r\n\r\n{body}";

    private static async Task<string> ReadBodyAsync(ScriptedConnection connection, int size, bool chunked)
    {
        await connection.ReadHeadAsync();
        if (!chunked) return await connection.ReadAsync(size);
        var body = new System.Text.StringBuilder();
        while (true)
        {
            var line = await connection.ReadUntilAsync("\r\n");
            var length = Convert.ToInt32(line.TrimEnd(), 16);
            body.Append(await connection.ReadAsync(length));
            Assert.Equal("\r\n", await connection.ReadAsync(2));
            if (length == 0) return body.ToString();
        }
    }
}
