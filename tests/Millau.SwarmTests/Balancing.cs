using Millau.SwarmTests.Support;

namespace Millau.SwarmTests;

public class Balancing
{
    private static Proxy Millau => SharedMillau.Proxy;

    public Balancing() => Lab.Require();

    [Fact]
    public async Task Ten_requests_to_two_replicas_go_five_and_five_and_an_error_puts_none_aside()
    {
        const string Host = "balance.test";
        await using var stack = await Stack.DeployAsync("balance", new EchoSpec("app", Host) { Replicas = 2, StartDelay = 0 });
        await Millau.UntilInstancesAsync(Host, 2);

        foreach (var target in (string[])["/", "/missing?status=404", "/broken?status=500", "/"])
        {
            var instances = new List<string>();
            for (var i = 0; i < 10; i++)
            {
                var answer = await Millau.GetAsync(Host, target);
                Assert.Equal(target.Contains("status") ? int.Parse(target[^3..]) : 200, answer.Status);
                instances.Add(answer.Instance);
            }
            Assert.Equal([5, 5], instances.GroupBy(i => i).Select(g => g.Count()));
        }
    }
}
