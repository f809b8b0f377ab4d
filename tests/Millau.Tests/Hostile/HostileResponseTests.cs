using Millau.Tests.Shared;
using Millau.Tests.Wire;

namespace Millau.Tests.Hostile;

/// <summary>Answers of instances that must not reach a client, or not whole; the numbers are the rows of docs/hostile.md.</summary>
public class HostileResponseTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    public static TheoryData<int, string> Broken
    {
        get
        {
            var data = new TheoryData<int, string>();
            foreach (var response in HostileResponses.All) data.Add(response.Row, response.Name);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Broken))]
    public async Task A_broken_answer_is_a_502_and_costs_its_connection(int row, string name)
    {
        var response = HostileResponses.All.Single(r => r.Row == row && r.Name == name);
        await using var instance = ScriptedInstance.Answering(response.Bytes);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        for (var i = 1; i <= 2; i++)
        {
            // HTTP/1.0, so that no interim response is passed on.
            var received = await proxy.RoundTripAsync("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 502 Bad Gateway\r\n", received);
            Assert.DoesNotContain("evil", received);
            Assert.EndsWith("\r\n\r\nNo instance answered: invalid response\n", received);
            Assert.Equal(i, instance.Connections);
        }
    }

    [Fact]
    public async Task Byte_by_byte_it_is_a_502_too()
    {
        var turn = 0;
        var responses = HostileResponses.All.Where(r => r.Bytes.Length < 200 && r.Name != "interim-for-ever").ToArray();
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            foreach (var value in responses[turn].Bytes) await connection.SendAsync(value.ToString());
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        for (turn = 0; turn < responses.Length; turn++)
        {
            var received = await proxy.RoundTripAsync("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 502 Bad Gateway\r\n", received);
            Assert.DoesNotContain("evil", received);
        }
    }

    // Row 38.
    [Theory]
    [InlineData("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n")]
    public async Task With_both_framings_the_chunks_count_and_the_connection_is_not_used_again(string fields)
    {
        await using var instance = ScriptedInstance.Answering($"HTTP/1.1 200 OK\r\n{fields}\r\n2\r\nok\r\n0\r\n\r\n");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        for (var i = 1; i <= 2; i++)
        {
            var answer = await proxy.GetAsync();
            Assert.Contains("\r\nTransfer-Encoding: chunked\r\n", answer);
            Assert.DoesNotContain("Content-Length", answer);
            Assert.EndsWith("\r\n\r\n2\r\nok\r\n0\r\n\r\n", answer);
            Assert.Equal(i, instance.Connections);
        }
    }

    // Row 40.
    [Theory]
    [InlineData("Content-Length: 10\r\n\r\nhello")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n9\r\nhello")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nX\r\n0\r\n\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nfffffffffffffffff\r\nevil")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\nevil\r\n0\r\n\r\n")]
    public async Task A_body_that_breaks_off_never_ends_cleanly_for_the_client(string rest)
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.SendAsync("HTTP/1.1 200 OK\r\n" + rest);
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Get);
        var answer = await client.ReadToEndAsync();

        Assert.DoesNotContain("evil", answer);
        Assert.DoesNotContain("\r\n0\r\n\r\n", answer);
        // Either nothing at all, or less than was announced.
        if (answer.Contains("Content-Length", StringComparison.Ordinal)) Assert.True(answer.Length < answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 14);
    }

    // Row 40: where the end of the connection is the end of the answer, a broken one must not look like it.
    [Theory]
    [InlineData("")]
    [InlineData("5\r\nhel")]
    [InlineData("X\r\nevil")]
    [InlineData("0\r\n")]
    [InlineData("0\r\nX: y\r\n")]
    public async Task A_client_that_reads_to_the_end_of_the_connection_sees_a_reset(string rest)
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        Assert.DoesNotContain("Transfer-Encoding", await client.ReadUntilAsync("hello"));
        await upstream.SendAsync(rest);
        await upstream.DisposeAsync();

        Assert.DoesNotContain("evil", await client.ReadToEndAsync());
        Assert.True(client.HasFailed);
    }

    // Row 41.
    [Theory]
    [InlineData("GET", Ok + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "ok")]
    [InlineData("GET", Ok + "evil", "ok")]
    [InlineData("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nevil", "2\r\nok\r\n0\r\n\r\n")]
    [InlineData("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil", "")]
    [InlineData("GET", "HTTP/1.1 204 No Content\r\n\r\nevil", "")]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil", "")]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n", "")]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "")]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n", "")]
    public async Task What_follows_an_answer_reaches_nobody_and_costs_the_connection(string method, string bytes, string body)
    {
        var turn = 0;
        await using var instance = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 })
                await connection.SendAsync(Interlocked.Increment(ref turn) == 1 ? bytes : "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown");
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        var first = await proxy.RoundTripAsync($"{method} / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        var second = await proxy.GetAsync();

        Assert.EndsWith("\r\n\r\n" + body, first);
        Assert.DoesNotContain("evil", first);
        Assert.EndsWith("\r\n\r\nown", second);
        Assert.Equal(2, instance.Connections);
    }

    // Row 41: the second answer comes when the connection is in the pool already.
    [Fact]
    public async Task An_answer_that_nobody_asked_for_costs_the_idle_connection()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync(Get);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync(Ok);
        await client.ReadResponseAsync();

        await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        Assert.Equal("", await upstream.ReadToEndAsync());
        await client.SendAsync(Get);
        var other = await instance.AcceptAsync();
        await other.ReadHeadAsync();
        await other.SendAsync(Ok);

        Assert.EndsWith("\r\n\r\nok", await client.ReadResponseAsync());
    }

    // Row 44.
    [Theory]
    [InlineData("Connection: X-Secret\r\nX-Secret: evil\r\n")]
    [InlineData("Connection: X-Secret, keep-alive\r\nX-Secret: evil\r\n")]
    [InlineData("X-Secret: evil\r\nConnection: keep-alive\r\nConnection: x-secret\r\n")]
    [InlineData("X-Secret: evil\r\nConnection: close , X-SECRET\r\n")]
    public async Task A_field_that_the_instance_names_ends_here(string fields)
    {
        await using var instance = ScriptedInstance.Answering($"HTTP/1.1 200 OK\r\n{fields}X-End: 2\r\nContent-Length: 2\r\n\r\nok");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        var answer = await proxy.GetAsync();

        Assert.DoesNotContain("X-Secret", answer);
        Assert.DoesNotContain("evil", answer);
        Assert.Contains("\r\nX-End: 2\r\n", answer);
        Assert.EndsWith("\r\n\r\nok", answer);
    }
}
