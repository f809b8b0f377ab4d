using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests;

/// <summary>The native binary by itself: that it starts, serves and ends, before anything else is asked of it.</summary>
public class BinaryTests
{
    [Fact]
    public async Task Curl_gets_the_answer_of_a_routed_service()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 2, "hello", ("millau.hosts", "app.test"));
        await using var millau = await MillauBinary.StartAsync(engine);

        var answer = await Tool.RunAsync("curl", ["-sS", "-i", "-H", "Host: app.test", $"http://127.0.0.1:{millau.Http}/"]);

        Assert.StartsWith("HTTP/1.1 200 OK", answer.Succeeded);
        Assert.Contains("hello", answer.Output);
    }

    [Fact]
    public async Task It_ends_with_0_when_it_is_told_to()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var millau = await MillauBinary.StartAsync(engine);

        await millau.Process.SignalAsync("TERM");

        Assert.Equal(0, await millau.Process.WaitAsync());
    }
}
