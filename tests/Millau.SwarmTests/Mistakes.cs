using Millau.SwarmTests.Support;

namespace Millau.SwarmTests;

/// <summary>Wrong labels on Swarm services: said clearly, and nobody else is touched.</summary>
public class Mistakes
{
    private static Proxy Millau => SharedMillau.Proxy;

    public Mistakes() => Lab.Require();

    [Fact]
    public async Task A_wrong_label_is_said_and_leaves_others_alone()
    {
        await using var stack = await Stack.DeployAsync("mistake",
            new EchoSpec("right", "right.test"),
            new EchoSpec("wrong", "wrong.test") { Labels = ["millau.port=abc"] });
        await Millau.UntilAsync("the right service answers", "right.test", a => a.Status == 200);
        await SharedMillau.LoggedAsync("WARN", "mistake_wrong", "millau.port", "abc");
        Assert.Equal(502, (await Millau.GetAsync("wrong.test")).Status);
        await stack.UpdateAsync("wrong", "--label-add", "millau.port=80");
        await Millau.UntilAsync("the corrected service answers", "wrong.test", a => a.Status == 200);
    }

    [Fact]
    public async Task A_label_that_becomes_wrong_keeps_the_last_good_routing()
    {
        await using var stack = await Stack.DeployAsync("slip", new EchoSpec("app", "slip.test"));
        await Millau.UntilAsync("the service answers", "slip.test", a => a.Status == 200);
        await stack.UpdateAsync("app", "--label-add", "millau.path=nowhere");
        await SharedMillau.LoggedAsync("WARN", "slip_app", "millau.path", "nowhere");
        Assert.Equal(200, (await Millau.GetAsync("slip.test")).Status);
    }

    [Fact]
    public async Task A_service_on_no_common_network_is_said()
    {
        await Lab.A.DockerAsync("network", "create", "--driver", "overlay", "elsewhere");
        await Lab.A.DockerAsync("service", "create", "--detach", "--no-resolve-image", "--name", "distant", "--network", "elsewhere",
            "--label", "millau.enabled=true", "--label", "millau.port=80", "--label", "millau.hosts=distant.test", "millau-echo:latest");
        try
        {
            await SharedMillau.LoggedAsync("WARN", "distant", "elsewhere", "millau");
            Assert.Equal(502, (await Millau.GetAsync("distant.test")).Status);
        }
        finally
        {
            await Lab.A.DockerAsync("service", "rm", "distant");
        }
    }
}
