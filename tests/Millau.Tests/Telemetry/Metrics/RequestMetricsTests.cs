using System.Net;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Telemetry.Metrics;
using Millau.Tests.Wire;
using Millau.Upstreams;

namespace Millau.Tests.Telemetry.Metrics;

/// <summary>What is counted beyond the plain case, and what clients, instances and Docker can make of the labels.</summary>
public class RequestMetricsTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task Methods_that_no_standard_knows_are_one_row()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));

        foreach (var method in (string[])["PATCH", "PURGE", "get", "A\"B", "PROPFIND"])
            await proxy.RoundTripAsync($"{method} / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");

        var scrape = await Scrape.WithAsync(proxy.Proxy.Metrics,
            "millau_lb_successful_requests_total{code=\"200\",method=\"OTHER\",service=\"app\"} 3",
            "millau_lb_successful_requests_total{code=\"200\",method=\"PATCH\",service=\"app\"} 1");
        Assert.Equal(2, scrape.Of("millau_lb_successful_requests_total").Length);
    }

    [Fact]
    public async Task Codes_of_a_service_have_an_end()
    {
        await using var instance = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 } head)
                await connection.SendAsync($"HTTP/1.1 {head.Split('/', ' ')[2]} X\r\nContent-Length: 0\r\n\r\n");
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        for (var code = 400; code < 600; code++)
        {
            await client.SendAsync($"GET /{code} HTTP/1.1\r\nHost: a.test\r\n\r\n");
            Assert.StartsWith($"HTTP/1.1 {code} ", await client.ReadResponseAsync());
        }

        var scrape = await Scrape.WithAsync(proxy.Proxy.Metrics,
            "millau_lb_successful_requests_total{code=\"OTHER\",method=\"GET\",service=\"app\"} 160");
        Assert.Equal(41, scrape.Of("millau_lb_successful_requests_total").Length);
    }

    [Fact]
    public async Task A_service_keeps_its_rows_while_it_is_known_and_loses_all_of_them_after()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(
            TestProxy.Service("app", instance.EndPoint), TestProxy.Service("other") with { Hosts = ["other.test"] });
        await proxy.GetAsync();
        await Scrape.WithAsync(proxy.Proxy.Metrics, "millau_lb_successful_requests_total{code=\"200\",method=\"GET\",service=\"app\"} 1");

        proxy.Apply(TestProxy.Service("app") with { IsRemoved = true }, TestProxy.Service("other"));
        await Scrape.WithAsync(proxy.Proxy.Metrics,
            "millau_lb_successful_requests_total{code=\"200\",method=\"GET\",service=\"app\"} 1", "millau_lb_status{service=\"app\"} 0");

        proxy.Apply(TestProxy.Service("other"));
        var scrape = await Scrape.OfAsync(proxy.Proxy.Metrics);
        Assert.DoesNotContain("\"app\"", scrape.Text);
        Assert.DoesNotContain("-app\"", scrape.Text);
        Assert.Contains("millau_lb_status{service=\"other\"} 0\n", scrape.Text);

        await proxy.ApplyAsync(TestProxy.Service("app", instance.EndPoint));
        await proxy.GetAsync();
        await Scrape.WithAsync(proxy.Proxy.Metrics, "millau_lb_successful_requests_total{code=\"200\",method=\"GET\",service=\"app\"} 1");
    }

    [Fact]
    public async Task A_request_that_outlives_its_service_takes_no_rows_from_the_one_that_came_back()
    {
        var (arrived, answer) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var instance = new ScriptedInstance(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 } head)
            {
                if (head.StartsWith("PUT /slow", StringComparison.Ordinal))
                {
                    arrived.SetResult();
                    await answer.Task;
                }
                await connection.SendAsync(Ok);
            }
        });
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service("app", instance.EndPoint));
        await proxy.GetAsync();
        var old = PutAsync("/slow");
        await arrived.Task;

        proxy.Apply(TestProxy.Service("other"));
        await proxy.ApplyAsync(TestProxy.Service("app", instance.EndPoint));
        await PutAsync("/");
        await Scrape.WithAsync(proxy.Proxy.Metrics, "millau_lb_successful_requests_total{code=\"200\",method=\"PUT\",service=\"app\"} 1");
        answer.SetResult();
        Assert.EndsWith("ok", await old);

        await Scrape.WithAsync(proxy.Proxy.Metrics,
            "millau_lb_successful_requests_total{code=\"200\",method=\"PUT\",service=\"app\"} 2",
            "millau_lb_failed_requests_total{method=\"PUT\",service=\"app\"} 0");

        Task<string> PutAsync(string path) =>
            proxy.RoundTripAsync($"PUT {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }

    [Fact]
    public async Task Rows_that_are_asked_for_at_the_same_time_are_one()
    {
        const int services = 300;
        var metrics = new MetricsRegistry();
        var counters = new ServiceCounters(metrics);
        var rows = Enumerable.Range(0, services).Select(i => new ServiceRows(counters, $"s{i}")).ToList();
        var listener = new Listener("http");
        listener.Bind(80);
        using var barrier = new Barrier(2);
        void Count()
        {
            foreach (var service in rows)
            {
                barrier.SignalAndWait(TimeSpan.FromSeconds(30));
                service.From(listener).Inc();
                service.Of(0).Successful(200).Inc();
                service.Attempts(0).Inc();
            }
        }
        await Task.WhenAll(Task.Factory.StartNew(Count, TaskCreationOptions.LongRunning), Task.Factory.StartNew(Count, TaskCreationOptions.LongRunning));

        foreach (var service in rows) service.HandOver();
        var scrape = await Scrape.OfAsync(metrics);
        foreach (var name in (string[])["millau_topology_requests_total", "millau_lb_successful_requests_total", "millau_lb_attempts_total"])
        {
            Assert.Equal(services, scrape.Of(name).Length);
            Assert.All(scrape.Of(name), line => Assert.EndsWith(" 2", line));
        }
    }

    [Fact]
    public async Task A_retry_is_counted_with_the_failed_attempt_and_the_instance_that_is_put_aside()
    {
        await using var one = new ScriptedInstance();
        await using var two = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(one.EndPoint, two.EndPoint));
        await one.RefuseAsync();

        await proxy.GetAsync();

        await Scrape.WithAsync(proxy.Proxy.Metrics,
            "millau_lb_retries_total{method=\"GET\",service=\"app\"} 1",
            "millau_lb_attempts_total{outcome=\"refused\",service=\"app\"} 1",
            "millau_lb_attempts_total{outcome=\"answered\",service=\"app\"} 1",
            "millau_lb_put_aside_total{reason=\"refused\",service=\"app\"} 1",
            "millau_lb_instances{service=\"app\",state=\"put_aside\"} 1",
            "millau_lb_instances{service=\"app\",state=\"ready\"} 1",
            "millau_lb_successful_requests_total{code=\"200\",method=\"GET\",service=\"app\"} 1",
            "millau_lb_failed_requests_total{method=\"GET\",service=\"app\"} 0");
    }

    [Fact]
    public async Task An_idle_connection_that_was_closed_is_no_retry()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        var first = proxy.GetAsync();
        var kept = await instance.AcceptAsync();
        await kept.ReadHeadAsync();
        await kept.SendAsync(Ok);
        await first;
        await Scrape.WithAsync(proxy.Proxy.Metrics, "millau_upstream_connections{state=\"idle\"} 1", "millau_upstream_connections{state=\"active\"} 0");

        // Takes the next request and ends before a byte of an answer: the instance may just have closed it.
        var second = proxy.GetAsync();
        await kept.ReadHeadAsync();
        await kept.DisposeAsync();
        var fresh = await instance.AcceptAsync();
        await fresh.ReadHeadAsync();
        await fresh.SendAsync(Ok);
        Assert.StartsWith("HTTP/1.1 200", await second);

        await Scrape.WithAsync(proxy.Proxy.Metrics,
            "millau_lb_retries_total{method=\"GET\",service=\"app\"} 0",
            "millau_lb_attempts_total{outcome=\"stale\",service=\"app\"} 1",
            "millau_lb_attempts_total{outcome=\"answered\",service=\"app\"} 2",
            "millau_upstream_connections_reused_total 1");
    }

    [Fact]
    public async Task A_client_that_goes_is_no_failure_of_the_service()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        var http = $":{proxy.EndPoint.Port}";
        var client = await proxy.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        await (await instance.AcceptAsync()).ReadHeadAsync();
        await Scrape.WithAsync(proxy.Proxy.Metrics,
            $"millau_ingress_open_connections{{port=\"{http}\",protocol=\"http\"}} 1",
            $"millau_ingress_requests_in_flight{{port=\"{http}\",protocol=\"http\"}} 1",
            "millau_lb_requests_in_flight{service=\"app\"} 1");

        client.Reset();

        await Scrape.WithAsync(proxy.Proxy.Metrics,
            "millau_lb_aborted_requests_total{method=\"GET\",service=\"app\"} 1",
            "millau_lb_failed_requests_total{method=\"GET\",service=\"app\"} 0",
            "millau_lb_attempts_total{outcome=\"aborted\",service=\"app\"} 1",
            $"millau_ingress_requests_total{{method=\"GET\",port=\"{http}\",protocol=\"http\"}} 1",
            $"millau_ingress_requests_in_flight{{port=\"{http}\",protocol=\"http\"}} 0",
            $"millau_ingress_open_connections{{port=\"{http}\",protocol=\"http\"}} 0",
            "millau_lb_requests_in_flight{service=\"app\"} 0",
            $"millau_topology_requests_total{{id=\"{http}-app\",source=\"{http}\",target=\"app\"}} 1");
    }

    [Fact]
    public async Task A_tunnel_is_counted_when_it_begins_and_its_bytes_as_they_pass()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        await using var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
        await client.ReadHeadAsync();

        await Scrape.WithAsync(proxy.Proxy.Metrics,
            "millau_lb_successful_requests_total{code=\"101\",method=\"GET\",service=\"app\"} 1",
            "millau_lb_request_duration_seconds_count{method=\"GET\",service=\"app\"} 1");
        foreach (var total in (int[])[4, 8])
        {
            await client.SendAsync("ping");
            await upstream.ReadAsync(4);
            await upstream.SendAsync("pongpong");
            await client.ReadAsync(8);
            await Scrape.WithAsync(proxy.Proxy.Metrics,
                $"millau_lb_requests_bytes_total{{method=\"GET\",service=\"app\"}} {total}",
                $"millau_lb_responses_bytes_total{{method=\"GET\",service=\"app\"}} {total * 2}");
        }

        await upstream.DisposeAsync();
        await Scrape.WithAsync(proxy.Proxy.Metrics,
            "millau_lb_successful_requests_total{code=\"101\",method=\"GET\",service=\"app\"} 1",
            "millau_lb_responses_bytes_total{method=\"GET\",service=\"app\"} 16",
            $"millau_ingress_requests_in_flight{{port=\":{proxy.EndPoint.Port}\",protocol=\"http\"}} 0");
    }

    [Fact]
    public async Task A_request_that_nothing_matches_is_counted_at_its_port_alone()
    {
        await using var proxy = await TestProxy.StartAsync();

        await proxy.GetAsync();

        var scrape = await Scrape.WithAsync(proxy.Proxy.Metrics,
            $"millau_ingress_requests_total{{method=\"GET\",port=\":{proxy.EndPoint.Port}\",protocol=\"http\"}} 1");
        Assert.Empty(scrape.Of("millau_lb_failed_requests_total"));
        Assert.Empty(scrape.Of("millau_topology_requests_total"));
    }

    [Fact]
    public void Each_failure_has_a_word() =>
        Assert.Equal(Enum.GetValues<AttemptFailure>().Length + 1, OutcomeLabel.Count);

    [Fact]
    public void Counting_an_answered_request_allocates_nothing()
    {
        var (metrics, context) = Context();
        Run(1000);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Run(1000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Run(int times)
        {
            for (var i = 0; i < times; i++)
            {
                metrics.RequestStarted(context);
                metrics.AttemptStarted(context);
                metrics.AttemptAnswered(context);
                metrics.AttemptEnded(context, AttemptFailure.None);
                metrics.RequestEnded(context);
            }
        }
    }

    private static (RequestMetrics, RequestContext) Context()
    {
        var listener = new Listener("http");
        listener.Bind(8080);
        var metrics = new RequestMetrics(new MetricsRegistry(), TimeProvider.System, listener);
        metrics.Apply(new ServiceCatalog([TestProxy.Service("app")]));
        var context = new RequestContext(
            new ImaginedExchange(new ClientPeer(IPAddress.Loopback) { Listener = listener }, "GET", "/", Millau.Ingress.HttpVersion.Http2));
        context.Begin();
        var outcome = context.Outcome;
        outcome.Service = new UpstreamService("app", TimeSpan.Zero, TimeSpan.Zero, [], false);
        outcome.InstanceStatus = outcome.Status = 200;
        outcome.ResponseBytes = 129;
        (outcome.Started, outcome.Ended) = (1, 1000);
        return (metrics, context);
    }
}
