using System.Diagnostics;
using System.Globalization;
using System.Net;
using Millau.SwarmTests.Support;
using Pebble = Millau.PeerTests.Support.Pebble;

namespace Millau.SwarmTests;

/// <summary>
/// Automatic HTTPS of the image as shipped in a real Swarm: not root, on a read-only root, its state on a volume. The authority is
/// pebble, outside of the Swarm; it refuses nonces, and comes to the published ports as Let's Encrypt would.
/// </summary>
[Collection(nameof(Alone))]
public sealed class AutomaticHttps : IDisposable
{
    /// <summary>Published by this Millau; those of the shared one are taken.</summary>
    private const int Http = 8181, Https = 8444;

    private const string Host = "shop.millau-swarm.org";

    private readonly string _issuer = Path.GetTempFileName();

    public AutomaticHttps() => Lab.Require();

    [Fact]
    public async Task A_deployed_stack_has_its_certificate_within_seconds_it_is_renewed_and_outlives_a_restart()
    {
        await using var pebble = await Pebble.StartAsync(
            validity: TimeSpan.FromSeconds(45), httpPort: Http, tlsPort: Https,
            address: IPAddress.Parse(Lab.ClientAddress), validated: IPAddress.Parse(Lab.A.Address));
        await File.WriteAllTextAsync(_issuer, await pebble.IssuerAsync());
        await using var proxy = await Stack.DeployYamlAsync("acme", await YamlAsync(pebble));
        await new Proxy(Lab.A.Address, Http).UntilAsync("Millau answers", "nobody.test", a => a.Status == 502);

        // 1. From the command to an answer over a connection that curl trusts.
        var clock = Stopwatch.StartNew();
        await using var shop = await Stack.DeployAsync("shop", new EchoSpec("shop", Host));
        await new Proxy(Lab.A.Address, Http).UntilAsync("the service answers", Host, a => a.Status == 200);
        var plain = clock.Elapsed;
        await Until.TrueAsync("a certificate of the authority is shown", async () => await CurlAsync() is not null, Detail, TimeSpan.FromSeconds(60));
        Figures.Add("docker stack deploy to the first answer on http", plain);
        Figures.Add("docker stack deploy to the first answer on https with a certificate of pebble", clock.Elapsed);
        Assert.InRange(clock.Elapsed - plain, TimeSpan.Zero, TimeSpan.FromSeconds(20));
        var first = await SerialAsync();

        // 2. Each connection meanwhile finds one that is valid.
        var requests = 0;
        await Until.TrueAsync("the certificate is renewed", async () =>
        {
            Assert.True(await CurlAsync() is not null, $"request {requests} failed\n{Detail()}");
            requests++;
            return await SerialAsync() != first;
        }, Detail, TimeSpan.FromSeconds(90));
        Figures.Add("certificate of pebble renewed", string.Create(CultureInfo.InvariantCulture, $"{requests} requests meanwhile, 0 failed"));

        // 3. The authority is gone, so that what is shown afterwards was kept on the volume.
        var renewed = await SerialAsync();
        await pebble.DownAsync();
        var before = await proxy.ContainersAsync(Lab.A, "proxy");
        await proxy.UpdateAsync("proxy", "--force");
        await Until.TrueAsync("another container runs", async () =>
            await proxy.ContainersAsync(Lab.A, "proxy") is [var one] && !before.Contains(one), deadline: TimeSpan.FromSeconds(60));
        var shown = "";
        await Until.TrueAsync("it shows the certificate that was there", async () => (shown = await SerialAsync()) == renewed, () => shown);

        string Detail() => pebble.Output;
    }

    public void Dispose() => File.Delete(_issuer);

    /// <summary>As deploy/docker-compose.proxy.yml, and not root.</summary>
    private static async Task<string> YamlAsync(Pebble pebble) => $$$"""
        version: '3.8'
        services:
          proxy:
            image: millau:latest
            user: '65532:{{{await Shell.RunAsync(Lab.Script, ["gid", "a"], Lab.A.DockerHost)}}}'
            read_only: true
            cap_drop: [ALL]
            volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro', 'data:/data']
            configs: [{source: ca, target: /ca.pem}]
            environment: {ACME: '{{{pebble.Url}}}', ACME_CA: /ca.pem, ACME_EMAIL: admin@millau-swarm.org}
            ports:
              - {target: 80, published: {{{Http}}}, mode: host}
              - {target: 443, published: {{{Https}}}, mode: host}
            networks: [millau]
            deploy:
              placement: {constraints: [node.role == manager]}
              update_config: {order: stop-first, monitor: 500ms}
              restart_policy: {condition: any, delay: 1s}
        configs: {ca: {file: '{{{pebble.Root}}}'}}
        volumes: {data: {}}
        networks: {millau: {external: true}}
        """;

    /// <summary>The answer over a new connection; null if there is none or curl does not trust the certificate.</summary>
    private async Task<string?> CurlAsync()
    {
        try
        {
            return await Shell.RunAsync("curl",
                ["-sS", "--fail", "--max-time", "20", "--cacert", _issuer, "--resolve", $"{Host}:{Https}:{Lab.A.Address}", $"https://{Host}:{Https}/"],
                Lab.A.DockerHost);
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Of the certificate that is shown; empty if nobody answers.</summary>
    private static Task<string> SerialAsync() => Shell.RunAsync("sh",
        ["-c", "openssl s_client -connect $0 -servername $1 </dev/null 2>/dev/null | openssl x509 -noout -serial 2>/dev/null || true", $"{Lab.A.Address}:{Https}", Host],
        Lab.A.DockerHost);
}
