namespace Millau.Tests.Wire;

/// <summary>Nothing is held back, and nothing piles up.</summary>
public class StreamingTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

    [Theory]
    [InlineData("Content-Length: 15\r\n", "one..", "two..", "three")]
    [InlineData("Transfer-Encoding: chunked\r\n", "5\r\none..\r\n", "5\r\ntwo..\r\n", "5\r\nthree\r\n0\r\n\r\n")]
    [InlineData("", "one..", "two..", "three")]
    public async Task Each_piece_of_an_answer_arrives_before_the_next_is_sent(string fields, params string[] pieces)
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Get);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync($"HTTP/1.1 200 OK\r\n{fields}\r\n");
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", await client.ReadHeadAsync());
        foreach (var piece in pieces)
        {
            var text = piece.Split("\r\n").First(p => p.Length == 5);
            await upstream.SendAsync(piece);
            Assert.EndsWith(text, await client.ReadUntilAsync(text));
        }
    }

    [Fact]
    public async Task An_answer_may_stream_while_the_request_still_does()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nq0;\r\n");
        var upstream = await instance.AcceptAsync();
        await upstream.ReadUntilAsync("q0;\r\n");
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (var i = 1; i < 5; i++)
        {
            await upstream.SendAsync($"3\r\na{i};\r\n");
            Assert.EndsWith($"a{i};", await client.ReadUntilAsync($"a{i};"));
            await client.SendAsync($"3\r\nq{i};\r\n");
            Assert.EndsWith($"q{i};\r\n", await upstream.ReadUntilAsync($"q{i};\r\n"));
        }
        await client.SendAsync("0\r\n\r\n");
        Assert.Equal("0\r\n\r\n", await upstream.ReadUntilAsync("0\r\n\r\n"));
        await upstream.SendAsync("0\r\n\r\n");

        Assert.EndsWith("0\r\n\r\n", await client.ReadUntilAsync("0\r\n\r\n"));
        await client.SendAsync(Get);
        Assert.StartsWith("GET / HTTP/1.1\r\n", await upstream.ReadHeadAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_hundred_megabytes_pass_through_a_little_memory(bool upload)
    {
        const int total = 100 * 1024 * 1024;
        var piece = new byte[256 * 1024];
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(upload ? $"PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {total}\r\n\r\n" : Get);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        if (!upload)
        {
            await upstream.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n");
            await client.ReadHeadAsync();
        }
        var (from, to) = upload ? (client, upstream) : (upstream, client);

        var received = to.SkipAsync(total);
        for (var sent = 0; sent < total; sent += piece.Length) await from.SendAsync(piece);

        Assert.Equal(total, await received);
        if (!upload) return;
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        Assert.EndsWith("ok", await client.ReadResponseAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Who_reads_slowly_stops_who_writes(bool upload)
    {
        const long total = 1L << 40;
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(upload ? $"PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {total}\r\n\r\n" : Get);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        if (!upload)
        {
            await upstream.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n");
            await client.ReadHeadAsync();
        }
        var (from, to) = upload ? (client, upstream) : (upstream, client);

        var sent = 0L;
        using var stop = new CancellationTokenSource();
        var writing = WriteAsync();
        // The kernel's buffers take a few megabytes on each side, the proxy a few hundred kilobytes.
        var before = -1L;
        await Eventually.TrueAsync(() =>
        {
            var now = Volatile.Read(ref sent);
            var still = now > 0 && now == before && !IsMoving(from);
            before = now;
            return still;
        });
        Assert.InRange(sent, 1, 64L * 1024 * 1024);
        Assert.Equal(1 << 20, await to.SkipAsync(1 << 20));
        await stop.CancelAsync();
        await writing;

        async Task WriteAsync()
        {
            var piece = new byte[64 * 1024];
            try
            {
                while (true) Volatile.Write(ref sent, sent + await from.SendSomeAsync(piece, stop.Token));
            }
            catch (OperationCanceledException)
            {
            }
        }

        static bool IsMoving(ScriptedConnection connection) => connection.Socket.Poll(TimeSpan.FromMilliseconds(300), System.Net.Sockets.SelectMode.SelectWrite);
    }
}
