namespace Millau.Tests.Wire;

/// <summary>Responses of which nothing may reach a client.</summary>
public class HostileResponseTests
{
    public static TheoryData<string> Broken => new(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nX-A: evil\0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: evil\rb\r\n\r\n",
        "HTTP/1.1 200 OK\r\nevil name: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nevil\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: evil" + new string('a', 64 * 1024) + "\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" + string.Concat(Enumerable.Repeat("X-A: evil\r\n", 2000)) + "\r\n",
        "HTTP/1.1 2xx OK\r\n\r\nevil",
        "HTTP/1.1 000 OK\r\n\r\nevil",
        "<html>evil</html>\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\nevil");

    [Theory]
    [MemberData(nameof(Broken))]
    public async Task A_broken_answer_is_a_502_and_costs_its_connection(string answer)
    {
        await using var instance = ScriptedInstance.Answering(answer);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        for (var i = 1; i <= 2; i++)
        {
            var received = await proxy.GetAsync();
            Assert.StartsWith("HTTP/1.1 502 Bad Gateway\r\n", received);
            Assert.DoesNotContain("evil", received);
            Assert.Equal(i, instance.Connections);
        }
    }

    [Fact]
    public async Task A_large_head_within_the_limits_passes()
    {
        var fields = string.Concat(Enumerable.Range(0, 190).Select(i => $"X-{i}: {new string('v', 140)}\r\n"));
        await using var instance = ScriptedInstance.Answering($"HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        for (var i = 0; i < 2; i++)
        {
            var answer = await proxy.GetAsync();
            Assert.Contains(fields[^150..], answer);
            Assert.EndsWith("\r\n\r\nok", answer);
        }
        Assert.Equal(1, instance.Connections);
    }
}
