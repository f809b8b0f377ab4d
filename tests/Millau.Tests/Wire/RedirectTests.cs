using Millau.Discovery;

namespace Millau.Tests.Wire;

/// <summary>Plain requests for a service that wants https.</summary>
public class RedirectTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Theory]
    [InlineData("/", "a.test", "https://a.test:8443/")]
    [InlineData("/a%20b/../c?x=1&y=%2F", "A.test:8080", "https://A.test:8443/c?x=1&y=%2F")]
    [InlineData("/", "a.test.", "https://a.test:8443/")]
    [InlineData("/", "[::1]:80", "https://[::1]:8443/")]
    [InlineData("http://a.test:80/x", "a.test:80", "https://a.test:8443/x")]
    [InlineData("/.well-known/acme-challeng", "a.test", "https://a.test:8443/.well-known/acme-challeng")]
    public async Task They_are_sent_to_the_same_address_on_https(string target, string host, string location)
    {
        await using var proxy = await TestProxy.StartAsync(Secure(TestProxy.Service()));
        var answer = await proxy.GetAsync(target, host);
        Assert.StartsWith("HTTP/1.1 308 ", answer);
        Assert.Contains($"\r\nLocation: {location}\r\n", answer);
    }

    [Fact]
    public async Task On_port_443_no_port_is_named()
    {
        var log = new RecordedLog();
        await using var proxy = new MillauProxy(new ProxyOptions(), TimeProvider.System, log);
        proxy.Apply(new ServiceCatalog([Secure(TestProxy.Service())]));
        await proxy.ListenAsync(System.Net.IPAddress.Loopback, 0, null);
        await using var client = await ScriptedConnection.ConnectAsync(proxy.EndPoint);
        await client.SendAsync("GET /x HTTP/1.1\r\nHost: a.test:80\r\n\r\n");
        Assert.Contains("\r\nLocation: https://a.test/x\r\n", await client.ReadResponseAsync());
    }

    [Fact]
    public async Task A_request_with_a_body_is_sent_there_too_and_the_connection_goes_on()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(
            Secure(TestProxy.Service(instance.EndPoint)) with { Hosts = ["a.test"] },
            TestProxy.Service("plain", instance.EndPoint) with { Hosts = ["b.test"] });
        await using var client = await proxy.ConnectAsync();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
        Assert.StartsWith("HTTP/1.1 308 ", await client.ReadResponseAsync());
        await client.SendAsync("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 200 ", await client.ReadResponseAsync());
    }

    [Fact]
    public async Task Over_TLS_they_are_answered_by_the_service()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(Secure(TestProxy.Service(instance.EndPoint)));
        await using var client = await proxy.ConnectTlsAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 200 ", await client.ReadResponseAsync());
    }

    [Fact]
    public async Task What_an_ACME_server_asks_for_passes()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(Secure(TestProxy.Service(instance.EndPoint)));
        Assert.StartsWith("HTTP/1.1 200 ", await proxy.GetAsync("/.well-known/acme-challenge/token"));
        Assert.StartsWith("HTTP/1.1 308 ", await proxy.GetAsync("/.well-known/acme-challenge/../../x"));
    }

    [Fact]
    public async Task One_service_of_a_route_decides_for_all_of_it_and_for_no_other_route()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(
            TestProxy.Service("blue", instance.EndPoint) with { Path = "/shop" },
            Secure(TestProxy.Service("green", instance.EndPoint)) with { Path = "/shop" },
            TestProxy.Service("other", instance.EndPoint));
        for (var i = 0; i < 4; i++) Assert.StartsWith("HTTP/1.1 308 ", await proxy.GetAsync("/shop"));
        Assert.StartsWith("HTTP/1.1 200 ", await proxy.GetAsync("/"));
    }

    [Fact]
    public async Task A_service_that_is_down_still_redirects_and_its_fallback_answers_on_https()
    {
        await using var fallback = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(
            Secure(TestProxy.Service("shop")) with { Hosts = ["a.test"] },
            TestProxy.Service("maintenance", fallback.EndPoint));
        Assert.StartsWith("HTTP/1.1 308 ", await proxy.GetAsync());
        await using var client = await proxy.ConnectTlsAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 200 ", await client.ReadResponseAsync());
    }

    [Fact]
    public async Task A_service_that_is_removed_redirects_no_more()
    {
        await using var proxy = await TestProxy.StartAsync(Secure(TestProxy.Service()) with { IsRemoved = true });
        Assert.StartsWith("HTTP/1.1 502 ", await proxy.GetAsync());
    }

    private static Service Secure(Service service) => service with { RedirectsToHttps = true };
}
