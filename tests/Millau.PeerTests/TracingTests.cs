using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests;

/// <summary>Tracing by the native binary, where nothing that the SDK needs may have been trimmed away.</summary>
public class TracingTests
{
    [Fact]
    public async Task The_spans_of_a_request_reach_a_collector()
    {
        var port = Ports.Free(1)[0];
        var bodies = new ConcurrentQueue<(string Path, string Tenant, string Body)>();
        using var collector = new HttpListener { Prefixes = { $"http://127.0.0.1:{port}/" } };
        collector.Start();
        _ = Task.Run(async () =>
        {
            while (collector.IsListening)
            {
                var call = await collector.GetContextAsync();
                using var body = new MemoryStream();
                await call.Request.InputStream.CopyToAsync(body);
                bodies.Enqueue((call.Request.Url!.AbsolutePath, call.Request.Headers["x-tenant"] ?? "", Encoding.Latin1.GetString(body.ToArray())));
                call.Response.Close();
            }
        });
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello", ("millau.hosts", "app.test"));
        await using var millau = await MillauBinary.StartAsync(engine,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", $"http://127.0.0.1:{port}"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=me"), ("OTEL_SERVICE_NAME", "edge-proxy"), ("OTEL_BSP_SCHEDULE_DELAY", "100"));

        var answer = await Tool.RunAsync("curl", ["-sS", "-f", "-H", "Host: app.test", $"http://127.0.0.1:{millau.Http}/traced?x=1"]);
        Assert.Contains("hello", answer.Succeeded);

        await Until.TrueAsync(() => bodies.Sum(b => b.Body.Split("http.request.method").Length - 1) >= 2, "two spans");
        Assert.All(bodies, b => Assert.Equal(("/v1/traces", "me"), (b.Path, b.Tenant)));
        var told = string.Concat(bodies.Select(b => b.Body));
        foreach (var text in new[] { "edge-proxy", "/traced", "http.route", "app.test", "url.full", "millau.instance", "http.response.status_code" })
            Assert.Contains(text, told);
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")]
    [InlineData("OTEL_TRACES_SAMPLER", "sometimes")]
    public async Task A_wrong_variable_stops_it_with_one_line(string name, string value)
    {
        var answer = await Tool.RunAsync(MillauBinary.FilePath, [], environment: new Dictionary<string, string?>
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1", [name] = value,
        });

        Assert.Equal(1, answer.ExitCode);
        Assert.Contains($" FATAL Bad setting name={name} value=\"{value}\" allowed=", answer.Output);
    }
}
