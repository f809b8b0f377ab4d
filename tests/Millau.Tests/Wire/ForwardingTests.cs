namespace Millau.Tests.Wire;

public class ForwardingTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nhi";

    [Fact]
    public async Task A_get_reaches_the_instance_and_its_answer_the_client()
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        var answer = await proxy.RoundTripAsync(
            "GET /a/../b?q=1 HTTP/1.1\r\nHost: a.test:8080\r\nUser-Agent: t\r\nX-Real-IP: 6.6.6.6\r\nConnection: close\r\n\r\n");

        Assert.Equal(
            "GET /b?q=1 HTTP/1.1\r\nHost: a.test:8080\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n" +
            "X-Forwarded-Host: a.test:8080\r\nX-Real-IP: 127.0.0.1\r\nUser-Agent: t\r\n\r\n", seen);
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", answer);
        Assert.Contains("Content-Length: 2\r\n", answer);
        Assert.Contains("Via: 1.1 millau\r\n", answer);
        Assert.Contains("X-Served-By: proxy-1\r\n", answer);
        Assert.Contains("X-Backend-Server: app-1\r\n", answer);
        Assert.EndsWith("\r\n\r\nhi", answer);
    }

    [Fact]
    public async Task Connections_to_instances_are_kept_and_used_again()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        for (var i = 0; i < 20; i++) Assert.EndsWith("hi", await proxy.GetAsync());

        Assert.Equal(1, instance.Connections);
    }

    [Fact]
    public async Task A_body_that_comes_after_its_head_reaches_a_client_that_stays()
    {
        var headArrived = new TaskCompletionSource();
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
            await headArrived.Task;
            await connection.SendAsync("hi");
            await connection.ReadHeadAsync();
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", await client.ReadHeadAsync());
        headArrived.SetResult();

        Assert.Equal("hi", await client.ReadAsync(2));
    }

    [Fact]
    public async Task The_star_target_is_for_options()
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", head => seen = head);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        await proxy.RoundTripAsync("OPTIONS * HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");

        Assert.StartsWith("OPTIONS * HTTP/1.1\r\n", seen);
    }
}
