using Millau.Tests.Shared;
using Millau.Tests.Wire;

namespace Millau.Tests.Hostile;

/// <summary>Requests with a trap that are forwarded without it, byte for byte; the numbers are the rows of docs/hostile.md.</summary>
public class HarmlessRequestTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    public static TheoryData<int, string> Cases
    {
        get
        {
            var data = new TheoryData<int, string>();
            foreach (var request in HarmlessRequests.All) data.Add(request.Row, request.Name);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task The_instance_gets_it_in_exactly_this_form(int row, string name)
    {
        var request = HarmlessRequests.All.Single(r => r.Row == row && r.Name == name);
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(request.Bytes);
        await AnswerAsync(request, instance, client);
    }

    [Fact]
    public async Task Wherever_it_is_cut_in_two_the_instance_gets_the_same()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        // One of each kind that has a body; the others' heads are cut at every place by the test of byte by byte.
        foreach (var name in new[] { "extension-short", "trailer-host", "length-zeros" })
        {
            var request = HarmlessRequests.All.Single(r => r.Name == name);
            for (var cut = 1; cut < request.Bytes.Length; cut++)
            {
                await using var client = await proxy.ConnectAsync();
                await client.SendAsync(request.Bytes[..cut]);
                await Task.Yield();
                await client.SendAsync(request.Bytes[cut..]);
                Assert.EndsWith(Ok[^6..], await ForwardedAsync(request, instance, client));
            }
        }
    }

    [Fact]
    public async Task Byte_by_byte_the_instance_gets_the_same()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        foreach (var request in HarmlessRequests.All)
        {
            await using var client = await proxy.ConnectAsync();
            foreach (var value in request.Bytes) await client.SendAsync(value.ToString());
            Assert.EndsWith(Ok[^6..], await ForwardedAsync(request, instance, client));
        }
    }

    private static async Task AnswerAsync(HarmlessRequest request, ScriptedInstance instance, ScriptedConnection client)
    {
        var upstream = await instance.AcceptAsync();
        Assert.Equal(request.Forwarded, await upstream.ReadAsync(request.Forwarded.Length));
        Assert.Equal(0, upstream.Socket.Available);
        await upstream.SendAsync(Ok);
        Assert.EndsWith("\r\n\r\nok", await client.ReadResponseAsync());
    }

    /// <summary>
    /// As above, but a chunked body may come in other chunks than it was sent in, so only what they hold is compared; and
    /// the instance closes, so that each request has a connection of its own.
    /// </summary>
    private static async Task<string> ForwardedAsync(HarmlessRequest request, ScriptedInstance instance, ScriptedConnection client)
    {
        var upstream = await instance.AcceptAsync();
        var head = await upstream.ReadHeadAsync();
        var body = head.Contains("chunked", StringComparison.Ordinal)
            ? await ReadChunksAsync(upstream)
            : await upstream.ReadAsync(request.Forwarded.Length - head.Length);
        Assert.Equal(request.Forwarded, body is "ab" && request.Forwarded.EndsWith("0\r\n\r\n", StringComparison.Ordinal)
            ? head + "2\r\nab\r\n0\r\n\r\n"
            : head + body);
        Assert.Equal(0, upstream.Socket.Available);
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        await upstream.DisposeAsync();
        return await client.ReadResponseAsync();
    }

    private static async Task<string> ReadChunksAsync(ScriptedConnection upstream)
    {
        var body = "";
        while (true)
        {
            var size = Convert.ToInt32((await upstream.ReadUntilAsync("\r\n")).TrimEnd(), 16);
            body += await upstream.ReadAsync(size);
            Assert.Equal("\r\n", await upstream.ReadAsync(2));
            if (size == 0) return body;
        }
    }
}
