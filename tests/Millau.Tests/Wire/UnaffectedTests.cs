using System.Diagnostics;
using Millau.Discovery;

namespace Millau.Tests.Wire;

/// <summary>What must cost those nothing who have no part in it.</summary>
public class UnaffectedTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task Requests_that_hang_with_a_silent_instance_hold_up_no_other_service()
    {
        const int hanging = 100;
        await using var silent = new ScriptedInstance(async connection => await connection.ReadToEndAsync());
        await using var other = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(
            TestProxy.Service("silent", silent.EndPoint) with { Hosts = ["silent.test"] },
            TestProxy.Service("other", other.EndPoint) with { Hosts = ["other.test"] });
        var clients = new List<ScriptedConnection>();
        for (var i = 0; i < hanging; i++)
        {
            clients.Add(await proxy.ConnectAsync());
            await clients[i].SendAsync("GET / HTTP/1.1\r\nHost: silent.test\r\n\r\n");
        }
        await Eventually.TrueAsync(() => silent.Connections == hanging);

        // Far below the timeout of 30 s that the others wait for, even on a busy machine.
        await using var client = await proxy.ConnectAsync();
        var slowest = TimeSpan.Zero;
        for (var i = 0; i < 50; i++)
        {
            var started = Stopwatch.GetTimestamp();
            await client.SendAsync("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
            Assert.EndsWith("ok", await client.ReadResponseAsync());
            if (Stopwatch.GetElapsedTime(started) is var time && time > slowest) slowest = time;
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"slowest of 50 beside {hanging} that hang: {slowest.TotalMilliseconds:0.0} ms");
        Assert.InRange(slowest.TotalSeconds, 0, 3);
        foreach (var waiting in clients) await waiting.DisposeAsync();
    }

    [Fact]
    public async Task A_hundred_changes_of_many_routes_a_second_fail_no_request()
    {
        const int routes = 1000, changes = 200, workers = 4;
        await using var instance = ScriptedInstance.Answering(Ok);
        var kept = TestProxy.Service("kept", instance.EndPoint) with { Hosts = ["kept.test"] };
        await using var proxy = await TestProxy.StartAsync(kept);
        // None has an instance: what is counted is the exchange of tables, with as much to be built anew as there is.
        var others = Enumerable.Range(0, routes).Select(i => TestProxy.Service($"s{i}") with { Hosts = [$"{i}.test"] }).ToArray();
        using var over = new CancellationTokenSource();
        var load = Enumerable.Range(0, workers).Select(_ => Task.Run(async () =>
        {
            await using var client = await proxy.ConnectAsync();
            var served = 0;
            while (!over.IsCancellationRequested)
            {
                await client.SendAsync("GET / HTTP/1.1\r\nHost: kept.test\r\n\r\n");
                Assert.Equal(Ok[^2..], (await client.ReadResponseAsync())[^2..]);
                served++;
            }
            return served;
        })).ToArray();

        using var beat = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        for (var i = 0; i < changes; i++)
        {
            await beat.WaitForNextTickAsync();
            // Every route but one comes and goes.
            Service[] services = i % 2 == 0 ? [kept, .. others] : [kept];
            proxy.Apply([.. services]);
        }
        await over.CancelAsync();

        var requests = (await Task.WhenAll(load)).Sum();
        TestContext.Current.TestOutputHelper?.WriteLine($"{requests} requests during {changes} changes of {routes} routes, none failed");
        Assert.True(requests > changes, $"{requests}");
    }
}
