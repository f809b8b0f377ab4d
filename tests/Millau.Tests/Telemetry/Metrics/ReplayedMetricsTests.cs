using Millau.Tests.Wire;

namespace Millau.Tests.Telemetry.Metrics;

/// <summary>
/// The contract of names, labels and their order: a dashboard made for the original must find what it asks for. Lines
/// are compared whole.
/// </summary>
public class ReplayedMetricsTests
{
    [Fact]
    public async Task One_200_one_404_and_one_502_are_counted_to_the_letter()
    {
        var body = new string('x', 306);
        await using var instance = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 } head)
                await connection.SendAsync(head.StartsWith("GET /none", StringComparison.Ordinal)
                    ? $"HTTP/1.1 404 Not Found\r\nContent-Length: 98\r\n\r\n{body[..98]}"
                    : $"HTTP/1.1 200 OK\r\nContent-Length: 306\r\n\r\n{body}");
        });
        await using var proxy = await TestProxy.StartUnprobedAsync(TimeProvider.System, TestProxy.ServedBy);
        var metrics = proxy.Proxy.Metrics;
        var (http, https) = ($":{proxy.EndPoint.Port}", $":{proxy.TlsEndPoint.Port}");

        var scrape = await Scrape.OfAsync(metrics);
        Assert.Equal(
            new[]
            {
                $"millau_ingress_open_connections{{port=\"{http}\",protocol=\"http\"}} 0",
                $"millau_ingress_open_connections{{port=\"{https}\",protocol=\"https\"}} 0",
            }.Order(StringComparer.Ordinal),
            scrape.Of("millau_ingress_open_connections"));
        Assert.Empty(scrape.Of("millau_ingress_requests_total"));

        await proxy.ApplyAsync(TestProxy.Service(instance.EndPoint));
        Assert.StartsWith("HTTP/1.1 200 ", await proxy.GetAsync("/echo"));
        scrape = await Scrape.WithAsync(metrics,
            $"millau_ingress_open_connections{{port=\"{http}\",protocol=\"http\"}} 0",
            $"millau_ingress_requests_total{{method=\"GET\",port=\"{http}\",protocol=\"http\"}} 1",
            $"millau_ingress_requests_bytes_total{{method=\"GET\",port=\"{http}\",protocol=\"http\"}} 0",
            $"millau_ingress_responses_bytes_total{{method=\"GET\",port=\"{http}\",protocol=\"http\"}} 306",
            "millau_lb_successful_requests_total{code=\"200\",method=\"GET\",service=\"app\"} 1",
            "millau_lb_failed_requests_total{method=\"GET\",service=\"app\"} 0",
            "millau_lb_retries_total{method=\"GET\",service=\"app\"} 0",
            "millau_lb_requests_bytes_total{method=\"GET\",service=\"app\"} 0",
            "millau_lb_responses_bytes_total{method=\"GET\",service=\"app\"} 306",
            "millau_lb_status{service=\"app\"} 1",
            "millau_lb_request_duration_seconds_count{method=\"GET\",service=\"app\"} 1",
            "millau_lb_request_duration_seconds_bucket{method=\"GET\",service=\"app\",le=\"+Inf\"} 1",
            $"millau_topology_status{{id=\"{http}\",mainstat=\"up\",title=\"{http}\"}} 1",
            "millau_topology_status{id=\"app\",mainstat=\"up\",title=\"app\"} 1",
            $"millau_topology_requests_total{{id=\"{http}-app\",source=\"{http}\",target=\"app\"}} 1");
        Assert.Single(scrape.Of("millau_lb_request_duration_seconds_bucket"), l => l.Contains(",le=\"0.3\"}", StringComparison.Ordinal));
        Assert.Single(scrape.Of("millau_lb_request_duration_seconds_bucket"), l => l.Contains(",le=\"1.2\"}", StringComparison.Ordinal));

        Assert.StartsWith("HTTP/1.1 404 ", await proxy.GetAsync("/none"));
        await Scrape.WithAsync(metrics,
            $"millau_ingress_requests_total{{method=\"GET\",port=\"{http}\",protocol=\"http\"}} 2",
            $"millau_ingress_responses_bytes_total{{method=\"GET\",port=\"{http}\",protocol=\"http\"}} 404",
            "millau_lb_successful_requests_total{code=\"200\",method=\"GET\",service=\"app\"} 1",
            "millau_lb_successful_requests_total{code=\"404\",method=\"GET\",service=\"app\"} 1",
            "millau_lb_responses_bytes_total{method=\"GET\",service=\"app\"} 404",
            "millau_lb_request_duration_seconds_count{method=\"GET\",service=\"app\"} 2");

        proxy.Apply(TestProxy.Service());
        Assert.StartsWith("HTTP/1.1 502 ", await proxy.GetAsync("/none"));
        await Scrape.WithAsync(metrics,
            $"millau_ingress_open_connections{{port=\"{http}\",protocol=\"http\"}} 0",
            $"millau_ingress_requests_total{{method=\"GET\",port=\"{http}\",protocol=\"http\"}} 3",
            $"millau_ingress_requests_bytes_total{{method=\"GET\",port=\"{http}\",protocol=\"http\"}} 0",
            // Millau's own line of text is no body of an instance.
            $"millau_ingress_responses_bytes_total{{method=\"GET\",port=\"{http}\",protocol=\"http\"}} 404",
            "millau_lb_successful_requests_total{code=\"200\",method=\"GET\",service=\"app\"} 1",
            "millau_lb_successful_requests_total{code=\"404\",method=\"GET\",service=\"app\"} 1",
            "millau_lb_failed_requests_total{method=\"GET\",service=\"app\"} 1",
            "millau_lb_requests_bytes_total{method=\"GET\",service=\"app\"} 0",
            "millau_lb_responses_bytes_total{method=\"GET\",service=\"app\"} 404",
            "millau_lb_request_duration_seconds_count{method=\"GET\",service=\"app\"} 2",
            "millau_lb_status{service=\"app\"} 0",
            "millau_topology_status{id=\"app\",mainstat=\"down\",title=\"app\"} 1",
            $"millau_topology_requests_total{{id=\"{http}-app\",source=\"{http}\",target=\"app\"}} 3");
    }
}
