using System.Text.Json;
using System.Text.RegularExpressions;
using Millau.SwarmTests.Support;

namespace Millau.SwarmTests;

/// <summary>Why a service is not routed, as the shipped image tells it of a real Swarm.</summary>
[Collection(nameof(Alone))]
public class WhyNotRouted
{
    private const string Enabled = "millau.enabled=true";
    private const string Port = "millau.port=80";

    public WhyNotRouted() => Lab.Require();

    [Fact]
    public async Task Each_reason_is_told_with_what_to_change()
    {
        await using var services = new Services();
        await Lab.A.DockerAsync("network", "create", "--driver", "overlay", "why-elsewhere");
        string[] millau = ["--network", "millau"];
        await services.CreateAsync("why-nolabels", [.. millau]);
        await services.CreateAsync("why-disabled", [.. millau, "--label", "millau.enabled=false", "--label", Port]);
        await services.CreateAsync("why-containers", [.. millau, "--container-label", Enabled, "--container-label", Port]);
        await services.CreateAsync("why-port", [.. millau, "--label", Enabled]);
        await services.CreateAsync("why-value", [.. millau, "--label", Enabled, "--label", Port, "--label", "millau.path=shop"]);
        await services.CreateAsync("why-unknown", [.. millau, "--label", Enabled, "--label", Port, "--label", "millau.hots=blog.test"]);
        await services.CreateAsync("why-network", ["--network", "why-elsewhere", "--label", Enabled, "--label", Port, "--label", "millau.hosts=n.test"]);
        await services.CreateAsync("why-zero", [.. millau, "--replicas", "0", "--label", Enabled, "--label", Port, "--label", "millau.hosts=z.test"]);
        await services.CreateAsync("why-node", [.. millau, "--constraint", "node.hostname==nowhere", "--label", Enabled, "--label", Port,
            "--label", "millau.hosts=c.test"]);
        await services.CreateAsync("why-starting", [.. millau, "--env", "START_DELAY=600000", "--health-cmd", "/echo healthcheck",
            "--health-start-period", "600s", "--label", Enabled, "--label", Port, "--label", "millau.hosts=s.test"]);
        await services.CreateAsync("why-refuses", [.. millau, "--constraint", "node.hostname==millau-a", "--label", Enabled, "--label", "millau.port=81",
            "--label", "millau.hosts=r.test"]);
        string[] unhealthy = ["--env", "START_DELAY=600000", "--health-cmd", "/echo healthcheck",
            "--health-interval", "500ms", "--health-retries", "1", "--health-timeout", "1s", "--label", Enabled, "--label", Port];
        await services.CreateAsync("why-unhealthy", [.. millau, .. unhealthy, "--stop-signal", "KILL", "--label", "millau.hosts=u.test"]);
        await services.CreateAsync("why-polite", [.. millau, .. unhealthy, "--label", "millau.hosts=p.test"]);
        await services.CreateAsync("why-crash", [.. millau, "--env", "PORT=none", "--restart-delay", "60s", "--label", Enabled, "--label", Port,
            "--label", "millau.hosts=x.test"]);
        await services.CreateAsync("why-cert", [.. millau, "--label", Enabled, "--label", Port, "--label", "millau.hosts=t.test",
            "--label", "millau.cert=bm90IGEgY2VydGlmaWNhdGU=", "--label", "millau.key=bm90IGEga2V5"]);

        // No authority of certificates can be reached from the lab.
        await services.CreateAsync("why-acme", [.. millau, "--label", Enabled, "--label", Port, "--label", "millau.hosts=why.millau-swarm.org"]);

        // Service, code of its problem, and words that the problem or the advice must have.
        (string Name, string Code, string[] Words)[] expected =
        [
            ("why-nolabels", "no-labels", ["under deploy.labels"]),
            ("why-disabled", "disabled", ["millau.enabled=true"]),
            ("why-containers", "labels-on-containers", ["millau.enabled, millau.port", "deploy.labels"]),
            ("why-port", "port-missing", ["millau.port is not set"]),
            ("why-value", "bad-value", ["millau.path=\"shop\"", "starts with"]),
            ("why-unknown", "unknown-label", ["millau.hots", "Did you mean millau.hosts?"]),
            ("why-network", "no-shared-network", ["it is on why-elsewhere, Millau reaches millau"]),
            ("why-zero", "scaled-to-zero", ["docker service scale why-zero=1"]),
            ("why-node", "cannot-start", ["no suitable node", "docker service ps --no-trunc why-node"]),
            ("why-starting", "starting", ["on its way up"]),
            ("why-refuses", "port-refuses", ["port 81 refuses", "is millau.port=80 meant?"]),
            ("why-unhealthy", "unhealthy", ["Docker says:", "unhealthy container", "Look at what the health check says"]),
            ("why-polite", "cannot-start", ["Docker says:", "its health check failed"]),
            ("why-crash", "cannot-start", ["Docker says:"]),
            ("why-cert", "bad-certificate", ["not PEM"]),
        ];
        var container = await MillauAsync();
        var missing = "";
        await Until.TrueAsync("every reason is told", async () =>
        {
            using var report = JsonDocument.Parse(await MillauStatus.OfAsync(Lab.A, container, "--json"));
            missing = string.Join('\n', expected.Where(e => !Tells(report.RootElement, e.Name, e.Code, e.Words)).Select(e => $"{e.Name}: {e.Code}"))
                + "\n" + report.RootElement.GetRawText();
            return missing[0] == '\n';
        }, () => missing, TimeSpan.FromSeconds(90));

        await MillauStatus.UntilToldAsync(Lab.A, container, "acme-failed", "The authority at https://acme-v02.api.letsencrypt.org/directory cannot be used");

        // The same for people: each problem in one line, with what to do in the next.
        var table = "";
        await Until.TrueAsync("the table has each", async () =>
        {
            table = await MillauStatus.OfAsync(Lab.A, container);
            return expected.Where(e => e.Code is not ("no-labels" or "disabled"))
                .All(e => Regex.IsMatch(table, $@"(?m)^(error|warning) +{e.Name}: .*\[{e.Code}\]\n +-> \S"));
        }, () => table);
        Assert.DoesNotContain("bm90IGEga2V5", table, StringComparison.Ordinal);
        Assert.DoesNotContain('\x1b', table);

        var trial = await MillauStatus.OfAsync(Lab.A, container, "z.test/");
        Assert.Contains("502 No instance is available", trial, StringComparison.Ordinal);
        trial = await MillauStatus.OfAsync(Lab.A, container, "n.test/");
        Assert.Contains("why-network asks for this host, but is not routed: It shares no network with Millau", trial, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_Engine_that_is_gone_is_told_while_it_is_gone()
    {
        await using var network = await Bridge.CreateAsync(Lab.C, "why-gone");
        await using var millau = await Container.RunMillauAsync(Lab.C, network.Name, "-p", "9100");
        var published = (await Lab.C.DockerAsync("port", millau.Id, "9100/tcp")).Split('\n')[0];
        using var client = new HttpClient { BaseAddress = new Uri($"http://{Lab.C.Address}:{published[(published.LastIndexOf(':') + 1)..]}") };
        var status = "";
        await Until.TrueAsync("it is reachable", async () =>
        {
            try
            {
                status = await client.GetStringAsync("/status");
            }
            catch (HttpRequestException e)
            {
                status = e.Message;
            }
            return status.Contains("\"reachable\":true", StringComparison.Ordinal);
        }, () => status);

        await Lab.C.EngineAsync("stop");
        try
        {
            await Until.TrueAsync("it is told to be gone", async () =>
                (status = await client.GetStringAsync("/status")).Contains("\"code\":\"engine-unreachable\"", StringComparison.Ordinal), () => status);
            Assert.Contains("\"reachable\":false", status, StringComparison.Ordinal);
        }
        finally
        {
            await Lab.C.EngineAsync("start");
        }
    }

    private static bool Tells(JsonElement report, string service, string code, string[] words) =>
        report.GetProperty("services").EnumerateArray().Where(s => s.GetProperty("name").GetString() == service)
            .SelectMany(s => s.GetProperty("problems").EnumerateArray())
            .Where(p => p.GetProperty("code").GetString() == code)
            .Select(p => $"{p.GetProperty("text").GetString()} {p.GetProperty("advice").GetString()}")
            .Any(text => words.All(text.Contains));

    private static Task<string> MillauAsync() =>
        Lab.A.DockerAsync("ps", "-q", "--filter", "label=com.docker.swarm.service.name=proxy_proxy");

    /// <summary>Services of a test, removed when disposed.</summary>
    private sealed class Services : IAsyncDisposable
    {
        private readonly List<string> _names = [];

        public async Task CreateAsync(string name, string[] options)
        {
            await Lab.A.DockerAsync(["service", "create", "--detach", "--no-resolve-image", "--name", name, .. options, "millau-echo:latest"]);
            _names.Add(name);
        }

        public async ValueTask DisposeAsync() => await Lab.A.DockerAsync(["service", "rm", .. _names]);
    }
}
