namespace Millau.Tests.Wire;

/// <summary>Requests that were sent before take turns; none is lost by it.</summary>
public class RepeatedRequestTests
{
    [Fact]
    public async Task When_an_instance_dies_with_many_requests_the_others_get_them_a_few_at_a_time()
    {
        const int count = 40;
        var arrived = 0;
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        // All arrive at the one that dies; none is answered before all are there.
        var dying = new ScriptedInstance(async connection =>
        {
            await connection.ReadHeadAsync();
            Interlocked.Increment(ref arrived);
            await release.Task;
            connection.Reset();
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(dying.EndPoint));
        var clients = new List<Task<string>>();
        for (var i = 0; i < count; i++) clients.Add(proxy.GetAsync());
        await Eventually.TrueAsync(() => Volatile.Read(ref arrived) == count);

        int now = 0, most = 0, served = 0;
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var other = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 })
            {
                var there = Interlocked.Increment(ref now);
                lock (go) most = Math.Max(most, there);
                if (Volatile.Read(ref served) == 0) await go.Task;
                Interlocked.Increment(ref served);
                Interlocked.Decrement(ref now);
                await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        await proxy.ApplyAsync(TestProxy.Service(dying.EndPoint, other.EndPoint));
        release.SetResult();
        // Three are enough to begin with: of the other 37 none comes before these are answered.
        await Eventually.TrueAsync(() => Volatile.Read(ref now) >= 3);
        await dying.DisposeAsync();
        go.SetResult();

        foreach (var answer in await Task.WhenAll(clients)) Assert.EndsWith("\r\n\r\nok", answer);
        Assert.Equal(count, served);
        // While the 40 were in flight eight turns; three and more besides as they end.
        Assert.InRange(most, 3, 11);
    }
}
