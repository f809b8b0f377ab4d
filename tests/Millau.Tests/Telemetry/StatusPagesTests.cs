using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Demo;
using Millau.Telemetry;
using Millau.Tests.Shared;

namespace Millau.Tests.Telemetry;

/// <summary>The status over HTTP, of a Swarm in which nearly everything is wrong.</summary>
public sealed class StatusPagesTests : IAsyncLifetime
{
    private readonly HttpClient _client = new() { Timeout = TimeSpan.FromSeconds(30) };
    private EngineStandIn _engine = null!;
    private DemoSwarm _swarm = null!;
    private DemoMillau _millau = null!;

    public async ValueTask InitializeAsync()
    {
        _engine = await EngineStandIn.StartAsync();
        _swarm = new DemoSwarm(_engine);
        await TroubledSwarm.DeployAsync(_engine, _swarm);
        _millau = await DemoMillau.StartAsync(_engine.DockerHost, NullLoggerFactory.Instance);
        _client.BaseAddress = new Uri($"http://127.0.0.1:{_millau.TelemetryPort}");
    }

    public async ValueTask DisposeAsync()
    {
        await _millau.DisposeAsync();
        await _swarm.DisposeAsync();
        await _engine.DisposeAsync();
        _client.Dispose();
    }

    [Fact]
    public async Task Each_trouble_is_told_with_its_reason_and_what_to_change()
    {
        StatusReport report = null!;
        // A shut port is a problem only after some seconds.
        await Until(async () =>
        {
            report = await ReportAsync();
            return TroubledSwarm.Expected.All(e => report.Services.Any(s => s.Name == e.Key && s.Problems.Any(p => p.Code == e.Value)));
        }, () => string.Join('\n', report.Services.Select(s => $"{s.Name}: {string.Join(", ", s.Problems)}")));

        foreach (var (name, code) in TroubledSwarm.Expected)
        {
            var problem = report.Services.Single(s => s.Name == name).Problems.First(p => p.Code == code);
            Assert.NotEqual("", problem.Advice);
        }

        ServiceReport Of(string name) => report.Services.Single(s => s.Name == name);
        Assert.Equal("up", Of("whoami").State);
        Assert.Equal((3, 3ul), (Of("whoami").Ready, Of("whoami").Wanted));
        Assert.Equal(["green"], Of("blue").SharesWith);
        Assert.Equal("not-routed", Of("no-port").State);
        Assert.Contains("millau.port=8080", Assert.Single(Of("no-port").Problems).Advice, StringComparison.Ordinal);
        Assert.Equal("not-asked", Of("disabled").State);
        Assert.Equal("down", Of("scaled-down").State);
        Assert.Equal("starting", Of("starting").State);
        Assert.Contains("3000: is millau.port=3000 meant?", Assert.Single(Of("wrong-port").Problems).Advice, StringComparison.Ordinal);
        Assert.Contains("it is on backend, Millau reaches bridge", Assert.Single(Of("other-network").Problems).Text, StringComparison.Ordinal);
        Assert.Contains("no suitable node", Assert.Single(Of("no-node").Problems).Text, StringComparison.Ordinal);
        Assert.Equal("Did you mean millau.hosts? Rename it, or remove it.", Assert.Single(Of("misspelt").Problems).Advice);
    }

    [Fact]
    public async Task Keys_are_seen_nowhere()
    {
        Assert.DoesNotContain(TroubledSwarm.Key[..16], await _client.GetStringAsync("/status"), StringComparison.Ordinal);
        Assert.Contains(new LabelReport("millau.key", "(hidden)"), (await ReportAsync()).Services.Single(s => s.Name == "bad-cert").Labels);
    }

    [Fact]
    public async Task While_nothing_changes_the_answer_is_304_without_a_body()
    {
        await Until(async () => (await AnswerTwiceAsync()).StatusCode == HttpStatusCode.NotModified, () => "the status keeps changing");

        var again = await AnswerTwiceAsync();
        if (again.StatusCode == HttpStatusCode.NotModified)
            Assert.Empty(await again.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task An_Engine_that_is_gone_is_told_with_since_when()
    {
        Assert.True((await ReportAsync()).Engine.Reachable);
        await _engine.StopAsync();

        StatusReport report = null!;
        await Until(async () => !(report = await ReportAsync()).Engine.Reachable, () => "reachable");

        Assert.NotNull(report.Engine.Since);
        Assert.NotEqual("", report.Engine.LastError);
        Assert.Contains(report.Problems, p => p is { Code: "engine-unreachable", Severity: "error" });
        Assert.Contains(report.Services, s => s.Name == "whoami" && s.Ready == 3);
    }

    [Fact]
    public async Task A_request_can_be_tried()
    {
        TrialReport trial = null!;
        await Until(async () => (trial = await TryAsync("host=COMPANY.com:8080&path=/api/%78?q=1")).Routes is [{ Instances.Length: 3 }, ..]
            && trial.Routes[0].Instances.All(i => i.Usable), () => trial.Text);

        Assert.Equal(("forwarded", null, "company.com", "/api/x"), (trial.Outcome, trial.Status, trial.NormalizedHost, trial.MatchedPath));
        Assert.Equal(["blue", "green"], trial.Routes[0].Services);
        Assert.True(trial.Routes[0].Chosen);
        Assert.Equal(["company.com", "com", "*"], trial.Hosts.Select(h => h.Name));
        Assert.Equal("/api/", trial.Hosts[0].Matched);
        Assert.Equal(("*", "/", false), (trial.Routes[1].Host, trial.Routes[1].Path, trial.Routes[1].Chosen));
    }

    [Fact]
    public async Task A_service_that_is_not_routed_is_named_when_its_host_is_tried()
    {
        var trial = await TryAsync("host=api.example.com");
        Assert.Contains(trial.Hints, h => h.StartsWith("no-port asks for this host, but is not routed: millau.port is not set.", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("host=a&host=b", "host: once")]
    [InlineData("hsot=a", "unknown parameter; allowed: host, path, method, scheme, certificate")]
    [InlineData("host=a&scheme=ftp", "scheme: http or https")]
    [InlineData("host=a&certificate=mine", "certificate: none or valid")]
    public async Task A_wrong_question_is_400(string query, string reason)
    {
        var answer = await _client.GetAsync("/status?" + query);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(reason, await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_command_prints_the_same_and_its_exit_code_tells_whether_all_is_well()
    {
        await Until(async () => (await ReportAsync()).Services.Single(s => s.Name == "whoami").Ready == 3, () => "not up");
        var (exit, output) = await CommandAsync("status");
        Assert.Equal(1, exit);
        Assert.Contains("error    no-port: millau.port is not set. [port-missing]\n         -> Set millau.port=8080:", output, StringComparison.Ordinal);
        Assert.Matches(@"(?m)^whoami +up +3/3 +localhost whoami.example.com +/ ", output);
        Assert.DoesNotContain('\x1b', output);
        Assert.DoesNotContain(TroubledSwarm.Key[..16], output, StringComparison.Ordinal);

        (exit, output) = await CommandAsync("status", "--json");
        Assert.Equal(1, exit);
        Assert.Contains(JsonSerializer.Deserialize(output, StatusJson.Default.StatusReport)!.Services, s => s.Name == "no-port");

        (exit, output) = await CommandAsync("status", "http://whoami.example.com/x");
        Assert.Equal(0, exit);
        Assert.Contains("=> It goes to whoami, whoami.", output, StringComparison.Ordinal);

        (exit, output) = await CommandAsync("status", "whoami.example.com/a b", "POST");
        Assert.Equal(1, exit);
        Assert.Contains("=> 400 Bad request:", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_table_has_all_that_the_status_has()
    {
        StatusReport report = null!;
        await Until(async () => (report = await ReportAsync()).Services.Sum(s => s.Ready) == 7, () => "not up");

        var lines = (await CommandAsync("status")).Output.Split('\n');

        string Line(params string[] words) => Assert.Single(lines, l => words.All(w => $"{l}  ".Contains(w, StringComparison.Ordinal)));
        Assert.StartsWith($"Millau {report.Millau.Version} on {report.Millau.HostName}: {report.Status} since ", lines[0]);
        Line("engine ", report.Engine.Address, "reachable", report.Engine.Server);
        Line("networks ", report.Millau.Networks);
        var services = lines.SkipWhile(l => !l.StartsWith("SERVICE ", StringComparison.Ordinal)).TakeWhile(l => l.Length > 0).Skip(1).ToList();
        Assert.Equal(report.Services.Select(s => s.Routing?.Service ?? s.Name), services.Select(l => l.Split(' ')[0]));
        foreach (var service in report.Services)
        {
            var row = services.Single(l => l.StartsWith(service.Name + " ", StringComparison.Ordinal));
            Assert.Contains($" {service.State} ", row, StringComparison.Ordinal);
            if (service.Routing is { } routing)
                Assert.Contains($" {string.Join(' ', routing.Hosts)} ", row, StringComparison.Ordinal);
            foreach (var problem in service.Problems.Where(p => p.Severity != "info"))
                Line($"{problem.Severity,-7}  {service.Name}: ", TextTable.Printable(problem.Text), $"[{problem.Code}]");
            foreach (var instance in service.Instances)
                Line(instance.Name + "  ", instance.Address + "  ", $" {instance.State}");
        }
        foreach (var certificate in report.Certificates)
            Line($"{certificate.Source} ", certificate.Problem.Length > 0 ? certificate.Problem : string.Join(' ', certificate.Names));
    }

    [Fact]
    public async Task A_request_can_be_tried_with_a_client_certificate()
    {
        var (exit, output) = await CommandAsync("status", "https://members.example.com/");
        Assert.Equal(1, exit);
        Assert.Contains("=> 403 Forbidden: a client certificate is required.", output, StringComparison.Ordinal);

        (exit, output) = await CommandAsync("status", "--certificate", "https://members.example.com/", "HEAD");
        Assert.Equal(1, exit);
        Assert.StartsWith("HEAD https://members.example.com/ with a client certificate\n", output, StringComparison.Ordinal);
        Assert.Contains("The CA of bad-ca cannot be read, so nobody is let in.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_command_says_when_nobody_answers()
    {
        var error = new StringWriter();
        Assert.Equal(3, await StatusCommand.RunAsync(1, TextWriter.Null, error));
        Assert.StartsWith("millau: port 1: ", error.ToString(), StringComparison.Ordinal);
    }

    private async Task<(int Exit, string Output)> CommandAsync(params string[] args)
    {
        var output = new StringWriter();
        var exit = await CommandLine.TryHandleAsync(
            args, name => name == "TELEMETRY" ? $"{_millau.TelemetryPort}" : null, output, TextWriter.Null);
        return (exit!.Value, output.ToString().ReplaceLineEndings("\n"));
    }

    private async Task<HttpResponseMessage> AnswerTwiceAsync()
    {
        var first = await _client.GetAsync("/status");
        var request = new HttpRequestMessage(HttpMethod.Get, "/status");
        request.Headers.IfNoneMatch.Add(EntityTagHeaderValue.Parse(first.Headers.ETag!.ToString()));
        return await _client.SendAsync(request);
    }

    private async Task<StatusReport> ReportAsync() =>
        JsonSerializer.Deserialize(await _client.GetStringAsync("/status"), StatusJson.Default.StatusReport)!;

    private async Task<TrialReport> TryAsync(string query) =>
        JsonSerializer.Deserialize(await _client.GetStringAsync("/status?" + query), StatusJson.Default.TrialReport)!;

    private static async Task Until(Func<Task<bool>> condition, Func<string> what)
    {
        var end = DateTime.UtcNow + TimeSpan.FromSeconds(60);
        while (!await condition())
        {
            if (DateTime.UtcNow > end) Assert.Fail(what());
            await Task.Delay(20);
        }
    }
}
