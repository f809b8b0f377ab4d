using System.Net;
using Millau.SwarmTests.Support;
using Pebble = Millau.PeerTests.Support.Pebble;

namespace Millau.SwarmTests;

/// <summary>What keeps the shipped image from seeing or serving as it should, told by itself: Engine, rights, own deployment.</summary>
public class WhyNothingIsSeen
{
    public WhyNothingIsSeen() => Lab.Require();

    [Fact]
    public async Task A_worker_is_told_to_be_no_manager()
    {
        await using var network = await Bridge.CreateAsync(Lab.B, "why-worker");
        await using var millau = await Container.RunMillauAsync(Lab.B, network.Name);
        await MillauStatus.UntilToldAsync(Lab.B, millau.Id, "not-a-manager", "Place Millau on a manager");
    }

    [Fact]
    public async Task A_user_who_may_not_use_the_socket_is_told_so()
    {
        await using var network = await Bridge.CreateAsync(Lab.C, "why-rights");
        await using var millau = await Container.RunMillauAsync(Lab.C, network.Name, "--user", "65532:65532");
        await MillauStatus.UntilToldAsync(Lab.C, millau.Id, "engine-unreachable", "Permission denied", "user and group of it");
        await (await millau.ProxyAsync()).UntilAsync("it serves all the same", "any.test", a => a.Status == 502);
    }

    [Fact]
    public async Task A_path_that_a_socket_proxy_refuses_is_named_with_what_is_lost()
    {
        await using var filter = new EngineFilter(Lab.A, "/services");
        await using var millau = await Container.RunAsync(Lab.A, "millau:latest",
            ["--network", "host", "--env", "HTTP=8197", "--env", "HTTPS=8198", "--env", "TELEMETRY=8199", "--env", $"DOCKER_HOST={filter.DockerHost}"]);
        await MillauStatus.UntilToldAsync(Lab.A, millau.Id, "engine-forbidden",
            "refuses GET /services", "Swarm services are not seen", "Let the socket proxy pass GET /services.");
    }

    [Fact]
    public async Task What_the_certificate_authority_refuses_is_told_in_its_words()
    {
        await using var pebble = await Pebble.StartAsync(address: IPAddress.Parse(Lab.ClientAddress));
        var root = Path.Combine(Lab.Directory("why-acme"), "root.pem");
        File.Copy(pebble.Root, root);
        await using var network = await Bridge.CreateAsync(Lab.C, "why-acme");
        await using var millau = await Container.RunMillauAsync(
            Lab.C, network.Name, "--env", $"ACME={pebble.Url}", "--env", "ACME_CA=/ca.pem", "-v", $"{root}:/ca.pem:ro");
        await using var echo = await Container.RunEchoAsync(Lab.C, network.Name, "why-acme", "blocked.millau-peer.org");

        await MillauStatus.UntilToldAsync(Lab.C, millau.Id, "acme-failed",
            "why-acme: No certificate for blocked.millau-peer.org: rejectedIdentifier: ", "It is tried again by itself");
    }

    [Fact]
    public async Task Own_ports_in_ingress_mode_are_told_and_said_once()
    {
        await Lab.A.DockerAsync("service", "create", "--detach", "--no-resolve-image", "--name", "why-mesh", "--network", "millau",
            "--publish", "8190:80", "--publish", "8191:443", "--constraint", "node.role==manager",
            "--mount", "type=bind,src=/var/run/docker.sock,dst=/var/run/docker.sock,ro", "millau:latest");
        try
        {
            var container = "";
            await Until.TrueAsync("it runs", async () => (container =
                await Lab.A.DockerAsync("ps", "-q", "--filter", "label=com.docker.swarm.service.name=why-mesh")).Length > 0);
            await MillauStatus.UntilToldAsync(Lab.A, container, "ingress-mode",
                "Millau's own port 8190, 8191 is published in ingress mode", "mode: host");

            // What changes in Docker is read again, and the same is not said again.
            await Lab.A.DockerAsync("service", "update", "--detach", "--label-add", "millau.enabled=false", "why-mesh");
            var log = "";
            await Until.TrueAsync("the change is read", async () =>
                (await MillauStatus.OfAsync(Lab.A, container, "--json")).Contains("\"millau.enabled\"", StringComparison.Ordinal)
                && (log = await Shell.RunAsync("sh", ["-c", "docker logs \"$0\" 2>&1", container], Lab.A.DockerHost)).Length > 0, () => log);
            Assert.Single(log.Split('\n'), l => l.Contains("WARN  own ports are published in ingress mode", StringComparison.Ordinal)
                && l.Contains("8190,8191", StringComparison.Ordinal));
        }
        finally
        {
            await Lab.A.DockerAsync("service", "rm", "why-mesh");
        }
    }
}
