using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests;

/// <summary>What a real Prometheus makes of the metrics of the native binary, and the dashboard's questions to it.</summary>
public class PrometheusTests
{
    // What dashboards made for the original ask: names, labels and buckets that have to stay.
    private static readonly string[] QuestionsOfOthers =
    [
        "sum by (port) (millau_ingress_open_connections{port=~\".*\"})",
        "sum by (port) (rate(millau_ingress_requests_total{port=~\".*\"}[30s]))",
        "sum by (port, method) (rate(millau_ingress_requests_total{port=~\".*\"}[30s]))",
        "topk(15, millau_lb_request_duration_seconds_sum{service=~\".*\"} / millau_lb_request_duration_seconds_count{service=~\".*\"})",
        "1 - sum by (service) (rate(millau_lb_request_duration_seconds_bucket{le=\"1.2\"}[30s])) / sum by (service) (rate(millau_lb_request_duration_seconds_count[30s]))",
        "1 - sum by (service) (rate(millau_lb_request_duration_seconds_bucket{le=\"0.3\"}[30s])) / sum by (service) (rate(millau_lb_request_duration_seconds_bucket[30s]))",
        "topk(15, sum by (service, method) (rate(millau_lb_requests_bytes_total{service=~\".*\"}[30s])))",
        "topk(15, sum by (service, method) (rate(millau_lb_responses_bytes_total{service=~\".*\"}[30s])))",
        .. from code in (string[])["2..", "3..", "4..", "5.."]
           select $"topk(15, sum by (service, method, code) (rate(millau_lb_successful_requests_total{{service=~\".*\",code=~\"{code}\"}}[30s])))",
        "millau_topology_status{id!=\"\",title!=\"\",mainstat=~\"up|down\"}",
        "millau_topology_requests_total{id!=\"\",source=~\":.*\",target!=\"\"}",
    ];

    private static readonly string Monitoring = Path.Combine(MillauBinary.Root, "deploy/monitoring");

    [Fact]
    public async Task Every_question_of_the_dashboard_and_of_those_made_for_the_original_is_answered_from_a_scraped_Millau()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 2, "hello", ("millau.hosts", "app.test"));
        using var coded = CodedService.Deploy(engine, "codes", "codes.test");
        await using var millau = await MillauBinary.StartAsync(engine);
        using var end = new CancellationTokenSource();
        var visits = VisitAsync(millau.Http, end.Token);

        await using var prometheus = await Prometheus.StartAsync(millau.Telemetry);
        await prometheus.IsAsync("min(up{job=\"millau\"})", 1);
        // A retry, and an instance put aside, while somebody looks.
        await swarm.KillAsync("app");

        foreach (var query in Dashboard.Queries())
            await prometheus.AnswersAsync(query);
        foreach (var query in QuestionsOfOthers)
            await prometheus.AnswersAsync(query);
        foreach (var (metric, label) in Dashboard.Variables())
            Assert.NotEmpty(await prometheus.LabelsAsync(metric, label));
        // Not only something, but what happened.
        await prometheus.IsAsync("count(count by (code) (millau_lb_successful_requests_total{service=\"codes\"}))", 4);
        await prometheus.IsAsync("count(millau_topology_status{mainstat=\"up\"})", 4);
        await prometheus.HasGraphAsync();
        await prometheus.IsAsync("sum(millau_lb_put_aside_total{service=\"app\"}) >= bool 1", 1);
        await prometheus.IsAsync("sum(millau_lb_retries_total{service=\"app\"}) >= bool 1", 1);
        Assert.Equal("[]", await prometheus.BrokenAlertsAsync());

        var text = await GetMetricsAsync(millau.Telemetry);
        var check = await Tool.RunAsync("promtool", ["check", "metrics"], text);
        Assert.Equal((0, "", ""), (check.ExitCode, check.Output, check.Error));
        await end.CancelAsync();
        await visits;
    }

    [Theory]
    [InlineData("check", "config", "prometheus.yml")]
    [InlineData("check", "rules", "alerts.yml")]
    [InlineData("test", "rules", "alerts.test.yml")]
    public async Task Promtool_has_nothing_against_what_is_deployed(string verb, string what, string file)
    {
        var result = await Tool.RunAsync("promtool", [verb, what, Path.Combine(Monitoring, file)]);

        Assert.True(result.ExitCode == 0, result.Output + result.Error);
        Assert.Contains("SUCCESS", result.Output);
    }

    private static async Task<string> GetMetricsAsync(int port)
    {
        using var client = new HttpClient { Timeout = Until.Deadline };
        return await client.GetStringAsync(new Uri($"http://127.0.0.1:{port}/metrics"));
    }

    /// <summary>Visitors of all kinds, until the end; each must get an answer.</summary>
    private static async Task VisitAsync(int port, CancellationToken end)
    {
        using var client = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { Timeout = Until.Deadline };
        (HttpMethod Method, string Host, string Path)[] visits =
        [
            (HttpMethod.Get, "app.test", "/"), (HttpMethod.Post, "app.test", "/"), (HttpMethod.Get, "codes.test", "/200"),
            (HttpMethod.Get, "codes.test", "/301"), (HttpMethod.Get, "codes.test", "/404"), (HttpMethod.Get, "codes.test", "/500"),
        ];
        while (!end.IsCancellationRequested)
        {
            foreach (var (method, host, path) in visits)
            {
                using var request = new HttpRequestMessage(method, $"http://127.0.0.1:{port}{path}") { Headers = { Host = host } };
                if (method == HttpMethod.Post) request.Content = new StringContent("body", Encoding.ASCII);
                (await client.SendAsync(request, CancellationToken.None)).Dispose();
            }
            await Task.Delay(TimeSpan.FromMilliseconds(50), CancellationToken.None);
        }
    }

    /// <summary>The dashboard as it ships.</summary>
    private static class Dashboard
    {
        private static JsonElement Root { get; } = JsonDocument.Parse(
            File.ReadAllText(Path.Combine(Monitoring, "grafana/dashboards/millau.json"))).RootElement;

        /// <summary>Every expression, with the variables as a visitor finds them: all ports, all services, a short interval.</summary>
        public static List<string> Queries()
        {
            var queries = Root.GetProperty("panels").EnumerateArray()
                .Where(p => p.TryGetProperty("targets", out _))
                .SelectMany(p => p.GetProperty("targets").EnumerateArray())
                .Select(t => t.GetProperty("expr").GetString()!
                    .Replace("$port", ".*", StringComparison.Ordinal)
                    .Replace("$service", ".*", StringComparison.Ordinal)
                    .Replace("$interval", "30s", StringComparison.Ordinal)).ToList();
            Assert.True(queries.Count > 40, $"{queries.Count} queries");
            Assert.All(queries, q => Assert.DoesNotContain("$", q));
            return queries;
        }

        /// <summary>The expression of the one query with this name.</summary>
        public static string Query(string refId) => Root.GetProperty("panels").EnumerateArray()
            .Where(p => p.TryGetProperty("targets", out _)).SelectMany(p => p.GetProperty("targets").EnumerateArray())
            .Single(t => t.GetProperty("refId").GetString() == refId).GetProperty("expr").GetString()!;

        /// <summary>The variables whose values come from the metrics.</summary>
        public static List<(string Metric, string Label)> Variables() =>
            [.. Root.GetProperty("templating").GetProperty("list").EnumerateArray()
                .Where(v => v.GetProperty("type").GetString() == "query")
                .Select(v => v.GetProperty("definition").GetString()!["label_values(".Length..^1].Split(", "))
                .Select(v => (v[0], v[1]))];
    }

    /// <summary>Debian's Prometheus on a port of its own, with the alerts that ship.</summary>
    private sealed class Prometheus : IAsyncDisposable
    {
        private readonly Tool _process;
        private readonly string _directory;
        private readonly HttpClient _client;

        private Prometheus(Tool process, string directory, int port)
        {
            _process = process;
            _directory = directory;
            _client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = TimeSpan.FromSeconds(20) };
        }

        public static async Task<Prometheus> StartAsync(int target)
        {
            var directory = Directory.CreateTempSubdirectory("millau-prometheus-").FullName;
            var config = Path.Combine(directory, "prometheus.yml");
            await File.WriteAllTextAsync(config, $"""
                global: {"{scrape_interval: 1s, evaluation_interval: 1s}"}
                rule_files: ["{Monitoring}/alerts.yml"]
                scrape_configs:
                  - job_name: millau
                    static_configs: [{"{"}targets: ["127.0.0.1:{target}"]{"}"}]
                """);
            var port = Ports.Free();
            var process = Tool.Start("prometheus",
            [
                $"--config.file={config}", $"--storage.tsdb.path={directory}/data", $"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ]);
            var prometheus = new Prometheus(process, directory, port);
            await Until.TrueAsync(async () =>
            {
                Assert.False(process.HasEnded, process.Output);
                try
                {
                    using var answer = await prometheus._client.GetAsync(new Uri("/-/ready", UriKind.Relative));
                    return answer.IsSuccessStatusCode;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            }, "Prometheus is ready");
            return prometheus;
        }

        /// <summary>Waits until a question has an answer that is no empty one.</summary>
        public Task AnswersAsync(string query) =>
            Until.TrueAsync(async () => (await AskAsync(query)).GetArrayLength() > 0, $"an answer to {query}");

        /// <summary>Waits until a question has a number as its answer.</summary>
        public Task IsAsync(string query, double value) => Until.TrueAsync(async () =>
        {
            var answer = await AskAsync(query);
            return answer.GetArrayLength() == 1
                && double.Parse(answer[0].GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture) == value;
        }, $"{query} is {value}");

        public async Task<string[]> LabelsAsync(string metric, string label)
        {
            var answer = await _client.GetFromJsonAsync<JsonElement>(
                new Uri($"/api/v1/label/{label}/values?match[]={Uri.EscapeDataString(metric)}", UriKind.Relative));
            return [.. answer.GetProperty("data").EnumerateArray().Select(v => v.GetString()!)];
        }

        /// <summary>What the node graph asks for is a graph: each edge leads from one node to another.</summary>
        public async Task HasGraphAsync()
        {
            var (nodes, edges) = (await RowsAsync(Dashboard.Query("nodes")), await RowsAsync(Dashboard.Query("edges")));
            Assert.All(nodes, n => Assert.Equal(["id", "mainstat", "title"], n.Keys.Order()));
            Assert.Distinct(nodes.Select(n => n["id"]));
            Assert.NotEmpty(edges);
            Assert.All(edges, e =>
            {
                Assert.Equal(["id", "source", "target"], e.Keys.Order());
                Assert.Contains(e["source"], nodes.Select(n => n["id"]));
                Assert.Contains(e["target"], nodes.Select(n => n["id"]));
            });
        }

        private async Task<List<Dictionary<string, string>>> RowsAsync(string query) =>
            [.. (await AskAsync(query)).EnumerateArray().Select(r => r.GetProperty("metric").Deserialize<Dictionary<string, string>>()!)];

        /// <summary>The alerts that could not be evaluated, as JSON.</summary>
        public async Task<string> BrokenAlertsAsync()
        {
            var answer = await _client.GetFromJsonAsync<JsonElement>(new Uri("/api/v1/rules", UriKind.Relative));
            var rules = answer.GetProperty("data").GetProperty("groups").EnumerateArray()
                .SelectMany(g => g.GetProperty("rules").EnumerateArray()).ToList();
            Assert.NotEmpty(rules);
            return JsonSerializer.Serialize(rules.Where(r => r.GetProperty("health").GetString() == "err").Select(r => r.GetRawText()));
        }

        public async ValueTask DisposeAsync()
        {
            _client.Dispose();
            await _process.DisposeAsync();
            Directory.Delete(_directory, recursive: true);
        }

        private async Task<JsonElement> AskAsync(string query)
        {
            using var answer = await _client.GetAsync(new Uri($"/api/v1/query?query={Uri.EscapeDataString(query)}", UriKind.Relative));
            var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
            Assert.True(answer.IsSuccessStatusCode, $"{query}: {body}");
            return body.GetProperty("data").GetProperty("result");
        }
    }
}
