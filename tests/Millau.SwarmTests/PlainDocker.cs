using Millau.SwarmTests.Support;

namespace Millau.SwarmTests;

/// <summary>Containers without a Swarm: labels on the containers themselves, <c>docker run</c> and Compose.</summary>
public class PlainDocker
{
    public PlainDocker() => Lab.Require();

    [Fact]
    public async Task Containers_with_labels_are_routed_balanced_and_followed()
    {
        await using var network = await Bridge.CreateAsync(Lab.C, "plain");
        await using var container = await Container.RunMillauAsync(Lab.C, network.Name);
        var millau = await container.ProxyAsync();
        await using var first = await Container.RunEchoAsync(Lab.C, network.Name, "followed", "plain.test");
        await millau.UntilInstancesAsync("plain.test", 1);
        var only = (await millau.GetAsync("plain.test")).Instance;

        var run = Container.RunEchoAsync(Lab.C, network.Name, "followed", "plain.test");
        await millau.UntilAsync("the second instance answers", "plain.test", a => a.Status == 200 && a.Instance != only);
        var answered = DateTime.UtcNow;
        await using (var second = await run)
        {
            Figures.Add("docker run of a second instance: start to first answer", answered - await second.StartedAsync());
            var answers = new List<string>();
            for (var i = 0; i < 10; i++)
                answers.Add((await millau.GetAsync("plain.test")).Instance);
            Assert.Equal([5, 5], answers.GroupBy(i => i).Select(g => g.Count()));
        }
        for (var i = 0; i < 10; i++)
            Assert.Equal((200, only), ((await millau.GetAsync("plain.test")) is var a) ? (a.Status, a.Instance) : default);
        Assert.Contains("502", (await millau.GetAsync("other.test")).Status.ToString());
    }

    [Fact]
    public async Task Stopping_and_killing_containers_under_load_loses_no_request()
    {
        await using var network = await Bridge.CreateAsync(Lab.C, "plain-load");
        await using var container = await Container.RunMillauAsync(Lab.C, network.Name);
        var millau = await container.ProxyAsync();
        var record = Lab.Directory("plain-load");
        string[] options = ["-v", $"{record}:/record", "--env", "RECORD=/record", "--env", "STOP_DELAY=500", "--env", "START_DELAY=300"];
        await using var a = await Container.RunEchoAsync(Lab.C, network.Name, "loaded", "plain-load.test", options);
        await using var b = await Container.RunEchoAsync(Lab.C, network.Name, "loaded", "plain-load.test", options);
        await millau.UntilInstancesAsync("plain-load.test", 2);
        await using var load = new Load("plain-load.test", record, millau);
        await load.MoreAsync(100);
        await Lab.C.DockerAsync("stop", a.Id);
        await load.MoreAsync(100);
        await Lab.C.DockerAsync("start", a.Id);
        await millau.UntilInstancesAsync("plain-load.test", 2);
        await load.MoreAsync(100);
        await Lab.C.DockerAsync("restart", b.Id);
        await millau.UntilInstancesAsync("plain-load.test", 2);
        await load.MoreAsync(100);
        await load.EndAsync("docker stop, start and restart of plain containers");
    }

    [Fact]
    public async Task Compose_serves_its_curl_line_and_follows_scaling()
    {
        var file = Path.Combine(Lab.Root, "deploy", "docker-compose.yml");
        var millau = new Proxy(Lab.C.Address, 8080);
        try
        {
            await ComposeAsync("-f", file, "-p", "composed", "up", "-d");
            await millau.UntilAsync("the composed service answers", "localhost:8080", a => a.Status == 200, "/rest/echo");
            await ComposeAsync("-f", file, "-p", "composed", "up", "-d", "--scale", "echo=3");
            await millau.UntilInstancesAsync("localhost:8080", 3);
            await ComposeAsync("-f", file, "-p", "composed", "up", "-d", "--scale", "echo=1");
            await millau.UntilInstancesAsync("localhost:8080", 1);
        }
        finally
        {
            await ComposeAsync("-f", file, "-p", "composed", "down", "--timeout", "5");
        }
    }

    [Fact]
    public async Task Label_mistakes_and_conflicts_are_said_and_harm_nobody_else()
    {
        await using var network = await Bridge.CreateAsync(Lab.C, "mistakes");
        await using var container = await Container.RunMillauAsync(Lab.C, network.Name);
        var millau = await container.ProxyAsync();
        await using var good = await Container.RunEchoAsync(Lab.C, network.Name, "good", "good.test");
        await using var port = await Container.RunEchoAsync(Lab.C, network.Name, "bad-port", "bad-port.test", "--label", "millau.port=abc");
        await using var path = await Container.RunEchoAsync(Lab.C, network.Name, "bad-path", "bad-path.test", "--label", "millau.path=api");
        await using var name = await Container.RunEchoAsync(Lab.C, network.Name, "bad-name", "bad-name.test", "--label", "millau.hots=x");
        // Two containers of one service that disagree about where it is.
        await using var one = await Container.RunEchoAsync(Lab.C, network.Name, "torn", "torn-one.test");
        await using var two = await Container.RunEchoAsync(Lab.C, network.Name, "torn", "torn-two.test");
        await millau.UntilAsync("the good service answers", "good.test", a => a.Status == 200);

        var log = "";
        foreach (var (service, label, value) in ((string, string, string)[])[
            ("bad-port", "millau.port", "abc"), ("bad-path", "millau.path", "api"), ("bad-name", "millau.hots", "x"), ("torn", "labels", "differ")])
            await Until.TrueAsync($"a WARN about {service}", async () => (log = await container.LogAsync()).Split('\n').Any(line =>
                line.Contains("WARN") && line.Contains(service) && line.Contains(label) && line.Contains(value)), () => log);
        Assert.Equal(502, (await millau.GetAsync("bad-port.test")).Status);
        Assert.Equal(502, (await millau.GetAsync("bad-path.test")).Status);
        Assert.Equal(200, (await millau.GetAsync("good.test")).Status);
        // A conflict keeps one of the two settings, for all of its instances or for those that agree: the service is reached.
        Assert.Contains(200, (int[])[(await millau.GetAsync("torn-one.test")).Status, (await millau.GetAsync("torn-two.test")).Status]);
    }

    private static async Task ComposeAsync(params string[] args)
    {
        // The client's plug-in where there is one, else Debian's docker-compose.
        try
        {
            await Lab.C.DockerAsync("compose", "version");
        }
        catch (InvalidOperationException)
        {
            await Shell.RunAsync("docker-compose", args, Lab.C.DockerHost);
            return;
        }
        await Lab.C.DockerAsync(["compose", .. args]);
    }
}
