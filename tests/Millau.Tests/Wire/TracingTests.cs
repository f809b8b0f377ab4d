using System.Net.Sockets;
using System.Text.RegularExpressions;
using Millau.Telemetry.Tracing;
using OpenTelemetry.Exporter;

namespace Millau.Tests.Wire;

/// <summary>What instances are told of a trace, and what a collector is told of requests.</summary>
public class TracingTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";
    private const string ParentId = "b7ad6b7169203331";

    [Fact]
    public async Task Without_tracing_the_trace_context_passes_as_it_came()
    {
        var head = "";
        await using var instance = ScriptedInstance.Answering(Ok, h => head = h);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        await proxy.RoundTripAsync($"GET / HTTP/1.1\r\nHost: a.test\r\nTraceParent: 00-{TraceId}-{ParentId}-01\r\n"
            + "tracestate: a=1,b=2\r\ntracestate: c=3\r\nbaggage: k=v;p=1\r\nConnection: close\r\n\r\n");

        // In whatever order: they are lists of fields with different names.
        Assert.Equal($"00-{TraceId}-{ParentId}-01", TraceParent(head));
        Assert.Contains("\r\ntracestate: a=1,b=2\r\ntracestate: c=3\r\n", head, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("\r\nbaggage: k=v;p=1\r\n", head, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Each_attempt_is_a_span_of_its_own_and_names_it_to_the_instance()
    {
        List<string> heads = [];
        await using var collector = new TraceCollector();
        await using var first = new ScriptedInstance(async connection => heads.Add(await connection.ReadHeadAsync()));
        await using var second = ScriptedInstance.Answering(Ok, heads.Add);
        using var tracing = new RequestTracing(collector.Options, new RecordedLog());
        await using var proxy = await TestProxy.StartWatchedAsync(tracing, TestProxy.Service(first.EndPoint, second.EndPoint));

        await proxy.RoundTripAsync($"GET /a/../b?c=d HTTP/1.1\r\nHost: a.test:81\r\nUser-Agent: me\r\ntraceparent: 00-{TraceId}-{ParentId}-01\r\n"
            + "tracestate: a=1\r\ntracestate: b=2\r\nbaggage: k=v\r\nConnection: close\r\n\r\n");

        var spans = await SpansAsync(tracing, collector, 3);
        var server = Assert.Single(spans, s => s.Kind == 2);
        Assert.Equal((TraceId, ParentId, "GET /", false), (server.TraceId, server.ParentId, server.Name, server.IsError));
        Assert.Equal(
            """
            client.address=127.0.0.1
            http.request.method=GET
            http.response.status_code=200
            http.route=/
            millau.service=app
            network.protocol.version=1.1
            server.address=a.test
            server.port=81
            url.path=/b
            url.query=c=d
            url.scheme=http
            user_agent.original=me
            """, Told(server.Attributes));
        Assert.Equal("millau", server.Resource["service.name"]);

        var attempts = spans.Where(s => s.Kind == 3).OrderBy(s => s.Attributes.ContainsKey("http.request.resend_count")).ToArray();
        Assert.Equal(2, attempts.Length);
        Assert.All(attempts, a => Assert.Equal((TraceId, server.Id, "GET"), (a.TraceId, a.ParentId, a.Name)));
        Assert.Equal(attempts.Select(a => $"00-{TraceId}-{a.Id}-01"), heads.Select(TraceParent));
        Assert.All(heads, head => Assert.Contains("\r\ntracestate: a=1,b=2\r\n", head));
        Assert.All(heads, head => Assert.Contains("\r\nbaggage: k=v\r\n", head));
        Assert.Equal(
            $"""
            error.type=closed
            http.request.method=GET
            millau.instance=app-1
            millau.service=app
            network.protocol.version=1.1
            server.address=127.0.0.1
            server.port={first.EndPoint.Port}
            url.full=http://{first.EndPoint}/b?c=d
            """, Told(attempts[0].Attributes));
        Assert.True(attempts[0].IsError);
        Assert.Equal(("1", "200", false), (attempts[1].Attributes["http.request.resend_count"],
            attempts[1].Attributes["http.response.status_code"], attempts[1].IsError));
    }

    [Fact]
    public async Task A_trace_that_is_not_sampled_goes_on_unsampled_and_nothing_is_sent()
    {
        var head = "";
        await using var collector = new TraceCollector();
        await using var instance = ScriptedInstance.Answering(Ok, h => head = h);
        using var tracing = new RequestTracing(collector.Options, new RecordedLog());
        await using var proxy = await TestProxy.StartWatchedAsync(tracing, TestProxy.Service(instance.EndPoint));

        await proxy.RoundTripAsync($"GET / HTTP/1.1\r\nHost: a.test\r\ntraceparent: 00-{TraceId}-{ParentId}-00\r\nConnection: close\r\n\r\n");

        tracing.Flush(ScriptedConnection.Deadline);
        Assert.Matches($"^00-{TraceId}-[0-9a-f]{{16}}-00$", TraceParent(head));
        Assert.DoesNotContain(ParentId, head);
        Assert.Empty(collector.Spans);
    }

    [Theory]
    [InlineData("")]
    [InlineData("traceparent: nonsense\r\ntracestate: a=1\r\n")]
    [InlineData("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntraceparent: 00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n")]
    public async Task Without_a_valid_context_a_trace_begins_here(string fields)
    {
        var head = "";
        await using var collector = new TraceCollector();
        await using var instance = ScriptedInstance.Answering(Ok, h => head = h);
        using var tracing = new RequestTracing(collector.Options, new RecordedLog());
        await using var proxy = await TestProxy.StartWatchedAsync(tracing, TestProxy.Service(instance.EndPoint));

        await proxy.RoundTripAsync($"BREW / HTTP/1.1\r\nHost: a.test\r\n{fields}Connection: close\r\n\r\n");

        var spans = await SpansAsync(tracing, collector, 2);
        var server = Assert.Single(spans, s => s.Kind == 2);
        Assert.Equal(("", "HTTP /", "_OTHER", "BREW"), (server.ParentId, server.Name, server.Attributes["http.request.method"],
            server.Attributes["http.request.method_original"]));
        Assert.NotEqual(TraceId, server.TraceId);
        Assert.Equal($"00-{server.TraceId}-{spans.Single(s => s.Kind == 3).Id}-01", TraceParent(head));
        Assert.DoesNotContain("tracestate", head);
    }

    [Fact]
    public async Task A_request_that_nobody_answers_is_an_error()
    {
        await using var collector = new TraceCollector();
        using var tracing = new RequestTracing(collector.Options, new RecordedLog());
        await using var proxy = await TestProxy.StartWatchedAsync(tracing);

        await proxy.GetAsync();

        var server = Assert.Single(await SpansAsync(tracing, collector, 1));
        Assert.Equal(("GET", "502", "502", true), (server.Name, server.Attributes["http.response.status_code"], server.Attributes["error.type"], server.IsError));
    }

    [Fact]
    public async Task Without_a_collector_requests_are_answered_and_it_is_said_once()
    {
        using var closed = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        var log = new RecordedLog();
        await using var instance = ScriptedInstance.Answering(Ok);
        using var tracing = new RequestTracing(
            new OtlpExporterOptions { Protocol = OtlpExportProtocol.HttpProtobuf, Endpoint = new Uri($"http://{closed.LocalEndPoint}/v1/traces") }, log);
        await using var proxy = await TestProxy.StartWatchedAsync(tracing, TestProxy.Service(instance.EndPoint));

        for (var i = 0; i < 3; i++)
        {
            Assert.StartsWith("HTTP/1.1 200 OK", await proxy.GetAsync());
            tracing.Flush(ScriptedConnection.Deadline);
        }

        await log.WaitForAsync("^traces cannot be delivered endpoint=http://127.0.0.1:");
        Assert.Equal(1, log.Count("traces cannot be delivered"));
    }

    private static async Task<TraceCollector.Span[]> SpansAsync(RequestTracing tracing, TraceCollector collector, int count)
    {
        await Eventually.TrueAsync(() =>
        {
            // A span ends a moment after its answer.
            tracing.Flush(ScriptedConnection.Deadline);
            return collector.Spans.Length >= count;
        }, "spans did not come");
        return collector.Spans;
    }

    private static string TraceParent(string head) => Assert.Single(Regex.Matches(head, "(?i)\r\ntraceparent: ([^\r]*)\r\n")).Groups[1].Value;

    private static string Told(Dictionary<string, string> attributes) =>
        string.Join('\n', attributes.OrderBy(a => a.Key, StringComparer.Ordinal).Select(a => $"{a.Key}={a.Value}"));
}
