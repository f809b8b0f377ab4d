using Millau.Tests.Shared;
using Millau.Tests.Wire;

namespace Millau.Tests.Hostile;

/// <summary>Requests of which not a byte may reach an instance; the numbers are the rows of docs/hostile.md.</summary>
public class RefusedRequestTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private const string Smuggled = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";

    public static TheoryData<int, string> Cases
    {
        get
        {
            var data = new TheoryData<int, string>();
            foreach (var request in HostileRequests.All) data.Add(request.Row, request.Name);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task It_is_refused_and_nothing_of_it_reaches_an_instance(int row, string name)
    {
        var request = HostileRequests.All.Single(r => r.Row == row && r.Name == name);
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        // What follows is not to be taken for a request of its own.
        var sending = client.SendAsync(request.Bytes + Smuggled);
        var answer = await client.ReadToEndAsync();
        try
        {
            await sending;
        }
        catch (System.Net.Sockets.SocketException)
        {
            // Closed before all of it was read.
        }

        Assert.Matches($"^HTTP/1.1 ({request.Status}) ", answer);
        Assert.Equal(0, answer.LastIndexOf("HTTP/1.1 ", StringComparison.Ordinal));
        Assert.Contains("\r\nConnection: close\r\n", answer);
        Assert.Equal(0, instance.Connections);
    }

    [Fact]
    public async Task It_is_refused_byte_by_byte_too()
    {
        var seen = new List<string>();
        await using var instance = new ScriptedInstance(async connection =>
        {
            var all = await connection.ReadUntilAsync("\r\n0\r\n\r\n");
            lock (seen) seen.Add(all);
            await connection.SendAsync(Ok);
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        foreach (var request in HostileRequests.All.Where(r => r.Bytes.Length < 1000))
        {
            await using var client = await proxy.ConnectAsync();
            var answer = await DribbleAsync(client, request.Bytes + Smuggled);
            // The head of a chunked body may have gone out before its chunks were seen to be broken; the end never does.
            if (answer.Length > 0) Assert.Matches($"^HTTP/1.1 ({request.Status}) ", answer);
            else Assert.Equal(10, request.Row);
            Assert.Equal(answer.Length == 0 ? -1 : 0, answer.LastIndexOf("HTTP/1.1 ", StringComparison.Ordinal));
        }

        lock (seen) Assert.All(seen, all =>
        {
            Assert.Contains("\r\nTransfer-Encoding: chunked\r\n", all);
            Assert.DoesNotContain("\r\n0\r\n\r\n", all);
            Assert.DoesNotContain("smuggled", all);
        });
    }

    private static async Task<string> DribbleAsync(ScriptedConnection client, string bytes)
    {
        try
        {
            for (var i = 0; i < bytes.Length; i++) await client.SendAsync(bytes.Substring(i, 1));
        }
        catch (System.Net.Sockets.SocketException)
        {
            // Refused already.
        }
        return await client.ReadToEndAsync();
    }
}
