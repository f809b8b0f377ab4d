namespace Millau.Tests.Wire;

/// <summary>Interim responses, asked for and not.</summary>
public class ContinueTests
{
    private const string Put =
        "PUT / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";

    private const string Get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task The_body_is_asked_for_when_the_instance_asks()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Put);
        var upstream = await instance.AcceptAsync();
        Assert.Contains("\r\nExpect: 100-continue\r\n", await upstream.ReadHeadAsync());
        Assert.Equal(0, client.Socket.Available);
        await upstream.SendAsync("HTTP/1.1 100 Continue\r\n\r\n");
        Assert.Equal("HTTP/1.1 100 Continue\r\n\r\n", await client.ReadHeadAsync());
        await client.SendAsync("body");
        Assert.Equal("body", await upstream.ReadAsync(4));
        await upstream.SendAsync(Ok);

        Assert.StartsWith("HTTP/1.1 200 OK\r\n", await client.ReadResponseAsync());
        await client.SendAsync(Get);
        Assert.StartsWith("GET ", await upstream.ReadHeadAsync());
    }

    [Theory]
    [InlineData("417 Expectation Failed")]
    [InlineData("200 OK")]
    public async Task A_final_answer_in_place_of_100_is_passed_on_and_costs_the_connection(string status)
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Put);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync($"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");

        var answer = await client.ReadResponseAsync();
        Assert.StartsWith($"HTTP/1.1 {status}\r\n", answer);
        // The client may send the body or not, so nothing else may follow.
        Assert.Contains("\r\nConnection: close\r\n", answer);
        Assert.Equal("", await upstream.ReadToEndAsync());
        await using var other = await proxy.ConnectAsync();
        await other.SendAsync(Get);
        Assert.StartsWith("GET ", await (await instance.AcceptAsync()).ReadHeadAsync());
        Assert.Equal(2, instance.Connections);
    }

    [Fact]
    public async Task An_instance_that_never_says_100_gets_the_body_all_the_same()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Put + "body");
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        Assert.Equal("body", await upstream.ReadAsync(4));
        await upstream.SendAsync(Ok);

        Assert.EndsWith("\r\n\r\nok", await client.ReadUntilAsync("ok"));
    }

    [Fact]
    public async Task Early_hints_are_passed_on()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Get);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: close\r\n\r\n");
        Assert.Equal("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", await client.ReadHeadAsync());
        await upstream.SendAsync("HTTP/1.1 100 Continue\r\n\r\n" + Ok);

        Assert.StartsWith("HTTP/1.1 200 OK\r\n", await client.ReadResponseAsync());
    }

    [Fact]
    public async Task An_old_client_gets_no_interim_responses()
    {
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        Assert.StartsWith("HTTP/1.1 200 OK\r\n", await proxy.RoundTripAsync("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n"));
    }

    [Fact]
    public async Task Interim_responses_without_end_are_a_502()
    {
        await using var instance = ScriptedInstance.Answering(
            string.Concat(Enumerable.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000)) + Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        var answer = await proxy.RoundTripAsync("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 502 ", answer);
        Assert.EndsWith("\r\n\r\nNo instance answered: invalid response\n", answer);
    }

    [Theory]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]
    public async Task A_switch_that_nobody_asked_for_is_a_502(string response)
    {
        await using var instance = ScriptedInstance.Answering(response);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        Assert.StartsWith("HTTP/1.1 502 ", await proxy.GetAsync());
    }
}
