using System.Net;
using Microsoft.Extensions.Time.Testing;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Tests.Wire.Http2;

namespace Millau.Tests.Wire;

/// <summary>Groups that have nobody: passed over, waited for, or the end of it.</summary>
public class WalkTests
{
    private const string Post = "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

    private const string Get = "GET /api/x HTTP/1.1\r\nHost: www.a.test\r\n\r\n";

    [Fact]
    public async Task A_group_without_instance_is_passed_over_for_the_next_best_and_is_back_when_it_is_back()
    {
        await using var path = Saying("path");
        await using var host = Saying("host");
        await using var suffix = Saying("suffix");
        await using var any = Saying("any");
        var services = new[]
        {
            TestProxy.Service("path", path.EndPoint) with { Hosts = ["www.a.test"], Path = "/api/" },
            TestProxy.Service("host", host.EndPoint) with { Hosts = ["www.a.test"] },
            TestProxy.Service("suffix", suffix.EndPoint) with { Hosts = ["a.test"] },
            TestProxy.Service("any", any.EndPoint),
        };
        await using var proxy = await TestProxy.StartAsync([.. services]);

        for (var down = 0; down <= services.Length; down++)
        {
            await proxy.ApplyAsync([.. services.Select((s, i) => i < down ? s with { Instances = [] } : s)]);
            var answer = await proxy.GetAsync("/api/x", "www.a.test");
            if (down == services.Length) Assert.EndsWith("No instance is available\n", answer);
            else Assert.EndsWith("\r\n\r\n" + services[down].Name, answer);
        }

        await proxy.ApplyAsync([.. services]);
        await Eventually.TrueAsync(() => proxy.Log.Count("instance up service=path ") == 2);
        Assert.EndsWith("\r\n\r\npath", await proxy.GetAsync("/api/x", "www.a.test"));
    }

    [Fact]
    public async Task A_group_whose_instances_fail_is_passed_over_too()
    {
        var time = new FakeTimeProvider();
        var broken = true;
        await using var real = new ScriptedInstance(async c =>
        {
            await c.ReadHeadAsync();
            if (!Volatile.Read(ref broken)) await c.SendAsync("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nreal");
        });
        await using var page = Saying("page");
        await using var proxy = await TestProxy.StartAsync(
            time, TestProxy.Service("real", real.EndPoint) with { Hosts = ["a.test"] }, TestProxy.Service("page", page.EndPoint));

        for (var i = 0; i < 3; i++) Assert.EndsWith("\r\n\r\npage", await proxy.GetAsync());
        Assert.Equal(1, real.Connections);
        Volatile.Write(ref broken, false);
        time.Advance(TimeSpan.FromSeconds(61));

        Assert.EndsWith("\r\n\r\nreal", await proxy.GetAsync());
    }

    [Fact]
    public async Task A_stopping_instance_is_used_only_when_nobody_else_in_its_group_can()
    {
        await using var old = Saying("old");
        await using var young = Saying("young");
        await using var page = Saying("page");
        var service = TestProxy.Service("app", old.EndPoint, young.EndPoint) with { Hosts = ["a.test"] };
        var stopping = service with { Instances = service.Instances.SetItem(0, service.Instances[0] with { Phase = InstancePhase.Stopping }) };
        await using var proxy = await TestProxy.StartAsync(service, TestProxy.Service("page", page.EndPoint));

        proxy.Apply(stopping, TestProxy.Service("page", page.EndPoint));
        for (var i = 0; i < 6; i++) Assert.EndsWith("\r\n\r\nyoung", await proxy.GetAsync());
        proxy.Apply(stopping with { Instances = [stopping.Instances[0]] }, TestProxy.Service("page", page.EndPoint));

        for (var i = 0; i < 3; i++) Assert.EndsWith("\r\n\r\nold", await proxy.GetAsync());
    }

    [Fact]
    public async Task Requests_wait_for_an_instance_on_its_way_up()
    {
        await using var instance = Saying("up");
        var nobody = TestProxy.Service("app") with { IsStarting = true };
        await using var proxy = await TestProxy.StartAsync(nobody);

        var answers = Enumerable.Range(0, 20).Select(_ => proxy.GetAsync()).ToList();
        answers.Add(proxy.RoundTripAsync(Post));
        await Eventually.TrueAsync(() => proxy.Proxy.WaitingRequests == 21);
        Assert.DoesNotContain(answers, a => a.IsCompleted);
        proxy.Apply(TestProxy.Service("app", instance.EndPoint));

        Assert.All(await Task.WhenAll(answers), a => Assert.EndsWith("\r\n\r\nup", a));
        Assert.Equal(0, proxy.Proxy.WaitingRequests);
    }

    [Fact]
    public async Task A_slow_starter_costs_no_request()
    {
        await using var instance = new ScriptedInstance(Serve, listens: false);
        await using var proxy = await TestProxy.StartUnprobedAsync(
            TimeProvider.System, TestProxy.ServedBy, TestProxy.Service("app", instance.EndPoint));

        var answers = Enumerable.Range(0, 5).Select(_ => proxy.GetAsync()).ToList();
        await Eventually.TrueAsync(() => proxy.Proxy.WaitingRequests == 5);
        instance.Listen();

        Assert.All(await Task.WhenAll(answers), a => Assert.EndsWith("\r\n\r\nup", a));
        Assert.Equal(0, proxy.Log.Count("left out"));

        static async Task Serve(ScriptedConnection connection)
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 })
                await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup");
        }
    }

    [Fact]
    public async Task An_instance_that_is_closing_gets_only_what_may_be_sent_again_while_another_is_on_its_way()
    {
        await using var old = Saying("old");
        await using var successor = Saying("new");
        await using var proxy = await TestProxy.StartAsync(Closing(old.EndPoint) with { IsStarting = true });

        Assert.EndsWith("\r\n\r\nold", await proxy.GetAsync());
        var post = proxy.RoundTripAsync(Post);
        await Eventually.TrueAsync(() => proxy.Proxy.WaitingRequests == 1);
        var service = TestProxy.Service("app", old.EndPoint, successor.EndPoint);
        proxy.Apply(service with { Instances = [service.Instances[0] with { Phase = InstancePhase.Closing }, service.Instances[1]] });

        Assert.EndsWith("\r\n\r\nnew", await post);
    }

    [Fact]
    public async Task An_instance_that_is_closing_gets_everything_if_there_is_nothing_to_wait_for()
    {
        await using var old = Saying("old");
        await using var proxy = await TestProxy.StartAsync(Closing(old.EndPoint));

        Assert.EndsWith("\r\n\r\nold", await proxy.RoundTripAsync(Post));
    }

    [Fact]
    public async Task A_fallback_that_is_up_is_preferred_to_waiting()
    {
        await using var page = Saying("page");
        await using var proxy = await TestProxy.StartAsync(
            TestProxy.Service("app") with { Hosts = ["a.test"], IsStarting = true }, TestProxy.Service("page", page.EndPoint));

        Assert.EndsWith("\r\n\r\npage", await proxy.GetAsync());
    }

    [Fact]
    public async Task After_ten_seconds_of_waiting_the_answer_is_503()
    {
        var time = new FakeTimeProvider();
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service("app") with { IsStarting = true });

        var answer = proxy.GetAsync();
        await Eventually.TrueAsync(() => proxy.Proxy.WaitingRequests == 1);
        time.Advance(TimeSpan.FromSeconds(9.9));
        Assert.False(answer.IsCompleted);

        // It counts as waiting just before its ten seconds begin.
        Assert.StartsWith("HTTP/1.1 503 Service Unavailable\r\n", await TestProxy.PassTimeAsync(time, answer));
        Assert.Contains("\r\nRetry-After: 5\r\n", await answer);
    }

    [Fact]
    public async Task Beyond_a_thousand_requests_that_wait_for_a_service_the_answer_is_503_at_once_and_other_services_have_room()
    {
        // Time stands still: nobody's ten seconds are over.
        await using var proxy = await TestProxy.StartAsync(
            new FakeTimeProvider(), TestProxy.Service("app") with { IsStarting = true },
            TestProxy.Service("other") with { Hosts = ["b.test"], IsStarting = true });
        var clients = new List<Http2Client>();
        for (var i = 0; i < 10; i++)
        {
            clients.Add(await Http2Client.ConnectAsync(proxy.TlsEndPoint));
            for (var stream = 0; stream < Parking.MaxRequests / 10; stream++) await clients[i].OpenAsync(Http2Client.Request(), end: true);
        }
        await Eventually.TrueAsync(() => proxy.Proxy.WaitingRequests == Parking.MaxRequests);

        var beyond = await proxy.GetAsync();
        var other = proxy.GetAsync(host: "b.test");
        await Eventually.TrueAsync(() => proxy.Proxy.WaitingRequests == Parking.MaxRequests + 1);
        Assert.False(other.IsCompleted);
        proxy.Apply(TestProxy.Service("app"), TestProxy.Service("other") with { Hosts = ["b.test"] });

        Assert.StartsWith("HTTP/1.1 503 Service Unavailable\r\n", beyond);
        Assert.Contains("\r\nRetry-After: 5\r\n", beyond);
        Assert.StartsWith("HTTP/1.1 502 ", await other);
        foreach (var client in clients)
        {
            for (var stream = 1; stream < 2 * Parking.MaxRequests / 10; stream += 2) Assert.Equal(502, (await client.AnswerAsync(stream)).Status);
            await client.DisposeAsync();
        }
        Assert.Equal(0, proxy.Proxy.WaitingRequests);
    }

    [Fact]
    public async Task When_nothing_starts_any_more_waiting_ends()
    {
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service("app") with { IsStarting = true });

        var answer = proxy.GetAsync();
        await Eventually.TrueAsync(() => proxy.Proxy.WaitingRequests == 1);
        proxy.Apply(TestProxy.Service("app"));

        Assert.StartsWith("HTTP/1.1 502 Bad Gateway\r\n", await answer);
    }

    [Fact]
    public async Task A_client_that_hangs_up_waits_no_longer()
    {
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service("app") with { IsStarting = true });
        var client = await proxy.ConnectAsync();
        await client.SendAsync(Get);
        await Eventually.TrueAsync(() => proxy.Proxy.WaitingRequests == 1);

        await client.DisposeAsync();

        await Eventually.TrueAsync(() => proxy.Proxy.WaitingRequests == 0);
        await proxy.Log.WaitForAsync("client gone");
    }

    private static ScriptedInstance Saying(string text) =>
        ScriptedInstance.Answering($"HTTP/1.1 200 OK\r\nContent-Length: {text.Length}\r\n\r\n{text}");

    private static Service Closing(IPEndPoint endPoint)
    {
        var service = TestProxy.Service("app", endPoint);
        return service with { Instances = [service.Instances[0] with { Phase = InstancePhase.Closing }] };
    }
}
