using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Millau.Tests.Wire;

/// <summary>What becomes of a request whose instance fails, and of the instance.</summary>
public class FailoverTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private const string Get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    private const string Post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody";

    [Fact]
    public async Task Two_instances_share_requests_evenly()
    {
        await using var one = Saying("1");
        await using var two = Saying("2");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));

        var answers = new List<char>();
        for (var i = 0; i < 10; i++) answers.Add((await proxy.GetAsync())[^1]);

        Assert.Equal(5, answers.Count(a => a == '1'));
        Assert.Equal(5, answers.Count(a => a == '2'));
    }

    [Theory]
    [InlineData(Get)]
    [InlineData(Post)]
    public async Task A_refused_connection_costs_no_request(string request)
    {
        await using var one = new ScriptedInstance();
        await using var two = Echoing();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        await one.RefuseAsync();
        await using var client = await proxy.ConnectAsync();

        for (var i = 0; i < 4; i++)
        {
            await client.SendAsync(request);
            Assert.StartsWith("HTTP/1.1 200", await client.ReadResponseAsync());
        }

        Assert.Equal(1, proxy.Log.Count("instance left out .*instance=app-1 .*refused"));
    }

    [Fact]
    public async Task A_connection_that_nobody_answers_is_given_up_after_a_second()
    {
        // Without a connection there is no TLS either, and a probe that only connects is not enough for it.
        if (InstanceKind.Tls is not null) return;
        var time = new FakeTimeProvider();
        using var hole = new BlackHole();
        await using var two = Echoing();
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(hole.EndPoint, two.EndPoint));
        await hole.FillAsync();
        var started = time.GetUtcNow();

        Assert.StartsWith("HTTP/1.1 200", await TestProxy.PassTimeAsync(time, proxy.RoundTripAsync(
            Post.Replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", StringComparison.Ordinal))));

        Assert.InRange((time.GetUtcNow() - started).TotalSeconds, 0.9, 3);
        Assert.Equal(1, proxy.Log.Count("instance left out .*instance=app-1 .*timed out"));
    }

    public static TheoryData<string> BrokenAnswers => new(
        "",
        "RST",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");

    [Theory]
    [MemberData(nameof(BrokenAnswers))]
    public async Task An_instance_that_breaks_off_or_answers_nonsense_is_replaced_by_the_next(string answer)
    {
        await using var one = new ScriptedInstance(c => FailAsync(c, answer));
        await using var two = Echoing();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        await using var client = await proxy.ConnectAsync();

        for (var i = 0; i < 4; i++)
        {
            await client.SendAsync(Get);
            Assert.StartsWith("HTTP/1.1 200", await client.ReadResponseAsync());
        }

        Assert.Equal(1, one.Connections);
        Assert.Equal(1, proxy.Log.Count("instance left out .*instance=app-1 "));
    }

    [Theory]
    [MemberData(nameof(BrokenAnswers))]
    public async Task A_post_that_was_sent_is_not_sent_again(string answer)
    {
        var bodies = 0;
        await using var one = new ScriptedInstance(c => FailAsync(c, answer));
        await using var two = Echoing(_ => bodies++);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Post);

        Assert.StartsWith("HTTP/1.1 502 ", await client.ReadResponseAsync());
        Assert.Equal(0, bodies);
    }

    [Fact]
    public async Task A_post_with_an_idempotency_key_is_sent_again_with_its_body()
    {
        await using var one = new ScriptedInstance(c => FailAsync(c, ""));
        await using var two = Echoing();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Post.Replace("\r\n\r\n", "\r\nIdempotency-Key: k\r\n\r\n", StringComparison.Ordinal));

        Assert.EndsWith("\r\n\r\nbody", await client.ReadResponseAsync());
        Assert.Equal(1, one.Connections);
    }

    [Fact]
    public async Task An_instance_that_does_not_answer_in_time_is_replaced_by_the_next()
    {
        var time = new FakeTimeProvider();
        await using var one = new ScriptedInstance();
        await using var two = Echoing();
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(one.EndPoint, two.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Get);
        var upstream = await one.AcceptAsync();
        await upstream.ReadHeadAsync();
        time.Advance(TimeSpan.FromSeconds(29));
        Assert.Equal(0, proxy.Log.Count("left out"));
        time.Advance(TimeSpan.FromSeconds(2));

        Assert.StartsWith("HTTP/1.1 200", await client.ReadResponseAsync());
        Assert.Equal("", await upstream.ReadToEndAsync());
        Assert.Equal(1, proxy.Log.Count("instance left out .*instance=app-1 .*no response in time"));
    }

    [Fact]
    public async Task Interim_responses_are_progress()
    {
        var time = new FakeTimeProvider();
        await using var one = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(one.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Get);
        var upstream = await one.AcceptAsync();
        await upstream.ReadHeadAsync();
        for (var i = 0; i < 3; i++)
        {
            time.Advance(TimeSpan.FromSeconds(20));
            await upstream.SendAsync("HTTP/1.1 102 Processing\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 102", await client.ReadHeadAsync());
        }
        time.Advance(TimeSpan.FromSeconds(20));
        await upstream.SendAsync(Ok);

        Assert.StartsWith("HTTP/1.1 200", await client.ReadResponseAsync());
    }

    [Fact]
    public async Task The_last_timeout_is_a_504()
    {
        var time = new FakeTimeProvider();
        await using var one = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(one.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Get);
        await (await one.AcceptAsync()).ReadHeadAsync();
        time.Advance(TimeSpan.FromSeconds(31));

        var answer = await client.ReadResponseAsync();
        Assert.StartsWith("HTTP/1.1 504 Gateway Timeout\r\n", answer);
        Assert.EndsWith("\r\n\r\nNo instance answered: no response in time\n", answer);
        Assert.Equal(1, one.Connections);
    }

    [Fact]
    public async Task An_instance_that_failed_is_left_out_for_its_retry_period()
    {
        var time = new FakeTimeProvider();
        var broken = true;
        await using var one = new ScriptedInstance(async c =>
        {
            await c.ReadHeadAsync();
            if (!Volatile.Read(ref broken)) await c.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1");
        });
        await using var two = Saying("2");
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(one.EndPoint, two.EndPoint));

        for (var i = 0; i < 4; i++) Assert.EndsWith("2", await proxy.GetAsync());
        Assert.Equal(1, one.Connections);
        Volatile.Write(ref broken, false);
        time.Advance(TimeSpan.FromSeconds(59));
        for (var i = 0; i < 4; i++) Assert.EndsWith("2", await proxy.GetAsync());
        time.Advance(TimeSpan.FromSeconds(2));

        var answers = new List<char>();
        for (var i = 0; i < 4; i++) answers.Add((await proxy.GetAsync())[^1]);
        Assert.Equal(2, answers.Count(a => a == '1'));
    }

    [Fact]
    public async Task An_instance_that_docker_reports_anew_is_used_again_at_once()
    {
        var broken = true;
        await using var one = new ScriptedInstance(async c =>
        {
            await c.ReadHeadAsync();
            if (!Volatile.Read(ref broken)) await c.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1");
        });
        await using var two = Saying("2");
        var service = TestProxy.Service(one.EndPoint, two.EndPoint);
        await using var proxy = await TestProxy.StartAsync(service);
        for (var i = 0; i < 4; i++) Assert.EndsWith("2", await proxy.GetAsync());
        Volatile.Write(ref broken, false);

        proxy.Apply(service with { Instances = service.Instances.SetItem(0, service.Instances[0] with { Epoch = 1 }) });
        await Eventually.TrueAsync(() => proxy.Log.Count("instance up .*instance=app-1 ") == 2);

        var answers = new List<char>();
        for (var i = 0; i < 4; i++) answers.Add((await proxy.GetAsync())[^1]);
        Assert.Equal(2, answers.Count(a => a == '1'));
    }

    [Theory]
    [InlineData("404 Not Found")]
    [InlineData("500 Internal Server Error")]
    [InlineData("503 Service Unavailable")]
    public async Task An_error_of_the_instance_is_its_answer(string status)
    {
        await using var one = ScriptedInstance.Answering($"HTTP/1.1 {status}\r\nContent-Length: 1\r\n\r\n1");
        await using var two = Saying("2");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));

        var answers = new List<string>();
        for (var i = 0; i < 10; i++) answers.Add(await proxy.GetAsync());

        Assert.Equal(5, answers.Count(a => a.StartsWith($"HTTP/1.1 {status}\r\n", StringComparison.Ordinal)));
        Assert.Equal(0, proxy.Log.Count("left out"));
    }

    [Fact]
    public async Task Each_instance_is_tried_once_at_most()
    {
        await using var one = new ScriptedInstance(c => FailAsync(c, ""));
        await using var two = new ScriptedInstance(c => FailAsync(c, ""));
        await using var three = new ScriptedInstance(c => FailAsync(c, ""));
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint, three.EndPoint));

        var answer = await proxy.GetAsync();

        Assert.StartsWith("HTTP/1.1 502 Bad Gateway\r\n", answer);
        Assert.EndsWith("\r\n\r\nNo instance answered: connection closed before a response\n", answer);
        Assert.Equal((1, 1, 1), (one.Connections, two.Connections, three.Connections));
    }

    [Fact]
    public async Task When_all_are_left_out_the_one_that_waited_longest_is_tried()
    {
        var time = new FakeTimeProvider();
        var broken = true;
        Task Serve(ScriptedConnection c, string name) => Volatile.Read(ref broken)
            ? FailAsync(c, "")
            : FailAsync(c, $"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{name}");
        await using var one = new ScriptedInstance(c => Serve(c, "1"));
        await using var two = new ScriptedInstance(c => Serve(c, "2"));
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(one.EndPoint, two.EndPoint));
        // A POST that was sent fails with its first instance, so that the two are left out at different times.
        Assert.StartsWith("HTTP/1.1 502", await PostAndCloseAsync(proxy));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.StartsWith("HTTP/1.1 502", await PostAndCloseAsync(proxy));
        Assert.Equal(2, proxy.Log.Count("instance left out"));
        Volatile.Write(ref broken, false);

        var first = proxy.Log.Entries.First(e => e.Text.Contains("instance left out", StringComparison.Ordinal)).Text;
        var answer = await proxy.GetAsync();

        Assert.StartsWith("HTTP/1.1 200", answer);
        Assert.Contains($"instance=app-{answer[^1]} ", first);
    }

    [Theory]
    [InlineData("Content-Length: 10\r\n\r\nhello")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX")]
    public async Task Half_an_answer_is_never_a_whole_one(string rest)
    {
        var more = 0;
        await using var one = new ScriptedInstance(c => FailAsync(c, "HTTP/1.1 200 OK\r\n" + rest));
        await using var two = Echoing(_ => more++);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));

        var answer = await proxy.RoundTripAsync(Get);

        // What broke at once may have reached the client not at all.
        if (answer.Length > 0) Assert.StartsWith("HTTP/1.1 200 OK\r\n", answer);
        Assert.DoesNotContain("\r\n0\r\n", answer);
        Assert.Equal(0, more);
        Assert.Equal(1, proxy.Log.Count("response cut short"));
    }

    [Fact]
    public async Task An_instance_that_resets_in_the_middle_of_an_endless_answer_cuts_the_client()
    {
        await using var one = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync(Get);
        var upstream = await one.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync("HTTP/1.1 200 OK\r\n\r\nhello");
        await client.ReadUntilAsync("hello");
        upstream.Reset();

        Assert.DoesNotContain("0\r\n", await client.ReadToEndAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_hangs_up_cancels_its_attempt(bool afterHead)
    {
        var more = 0;
        await using var one = new ScriptedInstance();
        await using var two = Echoing(_ => more++);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        var client = await proxy.ConnectAsync();

        await client.SendAsync(Get);
        var upstream = await one.AcceptAsync();
        await upstream.ReadHeadAsync();
        if (afterHead)
        {
            await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            await client.ReadUntilAsync("hello");
        }
        await client.DisposeAsync();

        Assert.Equal("", await upstream.ReadToEndAsync());
        Assert.Equal(0, more);
        Assert.Equal(0, proxy.Log.Count("left out"));
        Assert.DoesNotContain(proxy.Log.Entries, e => e.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task Clients_that_hang_up_in_the_middle_of_an_answer_are_no_error_of_ours()
    {
        await using var one = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint));

        for (var i = 0; i < 300; i++)
        {
            var client = await proxy.ConnectAsync();
            await client.SendAsync(Get);
            var upstream = await one.AcceptAsync();
            await upstream.ReadHeadAsync();
            await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            await client.ReadUntilAsync("hello");
            await client.DisposeAsync();
            Assert.Equal("", await upstream.ReadToEndAsync());
        }
        await proxy.DisposeAsync();

        Assert.DoesNotContain(proxy.Log.Entries, e => e.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task A_service_that_is_known_but_down_is_a_502()
    {
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service());

        var answer = await proxy.GetAsync();

        Assert.StartsWith("HTTP/1.1 502 Bad Gateway\r\n", answer);
        Assert.EndsWith("\r\n\r\nNo instance is available\n", answer);
    }

    [Fact]
    public async Task No_service_is_a_502()
    {
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service() with { Hosts = ["b.test"] });

        var answer = await proxy.GetAsync();

        Assert.StartsWith("HTTP/1.1 502 Bad Gateway\r\n", answer);
        Assert.EndsWith("\r\n\r\nNo matching services found\n", answer);
    }

    private static async Task<string> PostAndCloseAsync(TestProxy proxy) => await proxy.RoundTripAsync(
        Post.Replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", StringComparison.Ordinal));

    private static ScriptedInstance Saying(string text) =>
        ScriptedInstance.Answering($"HTTP/1.1 200 OK\r\nContent-Length: {text.Length}\r\n\r\n{text}");

    /// <summary>Answers with the body of the request.</summary>
    private static ScriptedInstance Echoing(Action<string>? onRequest = null) => new(async connection =>
    {
        while (await connection.ReadResponseAsync() is { Length: > 0 } request)
        {
            onRequest?.Invoke(request);
            var body = request[(request.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
            await connection.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        }
    });

    /// <summary>Reads a request, sends this and closes.</summary>
    private static async Task FailAsync(ScriptedConnection connection, string answer)
    {
        await connection.ReadResponseAsync();
        if (answer == "RST") connection.Reset();
        else await connection.SendAsync(answer);
    }
}

/// <summary>An address that accepts connections until it is filled; from then on nothing answers there.</summary>
internal sealed class BlackHole : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _fillers = [];

    public BlackHole()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(1);
        EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>Fills the queue of connections that wait to be accepted; the kernel drops what comes after them.</summary>
    public async Task FillAsync()
    {
        for (var i = 0; i < 16; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _fillers.Add(socket);
            using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
            try
            {
                await socket.ConnectAsync(EndPoint, patience.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
        Assert.Fail("the queue does not fill");
    }

    public void Dispose()
    {
        foreach (var socket in _fillers) socket.Dispose();
        _listener.Dispose();
    }
}
