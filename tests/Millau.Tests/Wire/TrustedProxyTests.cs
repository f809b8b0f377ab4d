using Millau.Forwarding;
using Millau.Ingress;

namespace Millau.Tests.Wire;

/// <summary>Whose word counts for who the client is.</summary>
public class TrustedProxyTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private static ClientRules Trust(string networks, bool proxyProtocol = false)
    {
        Assert.True(TrustedProxies.TryParse(networks, out var trusted));
        return new ClientRules { Trusted = trusted, ProxyProtocol = proxyProtocol, Limits = new ClientLimits { Header = TimeSpan.FromSeconds(2) } };
    }

    private static async Task<string> SeenAsync(ClientRules rules, string fields, string before = "")
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(rules, TestProxy.Service(instance.EndPoint));
        await proxy.RoundTripAsync($"{before}GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{fields}\r\n");
        return seen;
    }

    [Theory]
    [InlineData("127.0.0.0/8", "9.9.9.9", "9.9.9.9, 127.0.0.1", "9.9.9.9")]
    [InlineData("127.0.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9, 127.0.0.1", "9.9.9.9")]
    [InlineData("127.0.0.0/8 10.0.0.0/8", "6.6.6.6, 9.9.9.9, 10.1.2.3", "9.9.9.9, 10.1.2.3, 127.0.0.1", "9.9.9.9")]
    [InlineData("127.0.0.0/8,10.0.0.0/8", "10.0.0.1, 10.0.0.2", "10.0.0.1, 10.0.0.2, 127.0.0.1", "10.0.0.1")]
    [InlineData("127.0.0.0/8 10.0.0.0/8", "evil, 10.0.0.2", "10.0.0.2, 127.0.0.1", "10.0.0.2")]
    [InlineData("127.0.0.0/8", "9.9.9.9:1234", "9.9.9.9, 127.0.0.1", "9.9.9.9")]
    [InlineData("127.0.0.0/8", "2001:db8::1", "2001:db8::1, 127.0.0.1", "2001:db8::1")]
    [InlineData("127.0.0.0/8", "[2001:db8::1]:1234", "2001:db8::1, 127.0.0.1", "2001:db8::1")]
    [InlineData("127.0.0.0/8", "unknown", "127.0.0.1", "127.0.0.1")]
    [InlineData("127.0.0.0/8", "", "127.0.0.1", "127.0.0.1")]
    [InlineData("10.0.0.0/8", "9.9.9.9", "127.0.0.1", "127.0.0.1")]
    public async Task The_chain_is_walked_from_the_right_over_those_that_are_trusted(string trusted, string given, string chain, string client)
    {
        var seen = await SeenAsync(Trust(trusted), $"X-Forwarded-For: {given}\r\n");

        Assert.Contains($"\r\nX-Forwarded-For: {chain}\r\n", seen);
        Assert.Contains($"\r\nX-Real-IP: {client}\r\n", seen);
    }

    [Theory]
    [InlineData("127.0.0.0/8", "https", "shop.test")]
    [InlineData("10.0.0.0/8", "http", "a.test")]
    public async Task Scheme_and_host_are_taken_from_a_trusted_peer_alone(string trusted, string scheme, string host)
    {
        var seen = await SeenAsync(Trust(trusted), "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.test\r\n");

        Assert.Contains($"\r\nX-Forwarded-Proto: {scheme}\r\nX-Forwarded-Host: {host}\r\n", seen);
        Assert.Contains("\r\nHost: a.test\r\n", seen);
    }

    [Fact]
    public async Task Several_lines_are_one_chain_and_doubles_with_underscores_are_none_of_it()
    {
        var seen = await SeenAsync(
            Trust("127.0.0.0/8"), "X-Forwarded-For: 6.6.6.6, 7.7.7.7\r\nX_Forwarded_For: 5.5.5.5\r\nx-forwarded-for: 9.9.9.9\r\nX_Real_IP: 5.5.5.5\r\n");

        Assert.Contains("\r\nX-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n", seen);
        Assert.Contains("\r\nX-Real-IP: 9.9.9.9\r\n", seen);
        Assert.DoesNotContain("5.5.5.5", seen);
        Assert.DoesNotContain("6.6.6.6", seen);
    }

    [Fact]
    public async Task A_scheme_that_is_none_is_not_believed()
    {
        Assert.Contains("\r\nX-Forwarded-Proto: http\r\n", await SeenAsync(Trust("127.0.0.0/8"), "X-Forwarded-Proto: gopher\r\n"));
    }

    [Theory]
    [InlineData("PROXY TCP4 9.9.9.9 127.0.0.1 5000 80\r\n", "9.9.9.9")]
    [InlineData("PROXY UNKNOWN\r\n", "127.0.0.1")]
    [InlineData("\r\n\r\n\0\r\nQUIT\n\u0021\u0011\0\u000c\u0009\u0009\u0009\u0008\u0009\u0009\u0009\u0009\u0013\u0088\0P", "9.9.9.8")]
    [InlineData("\r\n\r\n\0\r\nQUIT\n\u0020\u0011\0\u000c\u0009\u0009\u0009\u0008\u0009\u0009\u0009\u0009\u0013\u0088\0P", "127.0.0.1")]
    public async Task The_header_of_a_trusted_peer_says_who_the_client_is(string header, string client)
    {
        var seen = await SeenAsync(Trust("127.0.0.0/8", proxyProtocol: true), "", header);

        Assert.Contains($"\r\nX-Forwarded-For: {client}\r\n", seen);
        Assert.Contains($"\r\nX-Real-IP: {client}\r\n", seen);
    }

    [Fact]
    public async Task The_header_may_come_byte_by_byte_and_stands_for_all_requests_of_its_connection()
    {
        var seen = new List<string>();
        await using var instance = ScriptedInstance.Answering(Ok, head => { lock (seen) seen.Add(head); });
        await using var proxy = await TestProxy.StartAsync(Trust("127.0.0.0/8", proxyProtocol: true), TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        foreach (var value in "PROXY TCP4 9.9.9.9 127.0.0.1 5000 80\r\n") await client.SendAsync(value.ToString());
        for (var i = 0; i < 2; i++)
        {
            await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            Assert.EndsWith("\r\n\r\nok", await client.ReadResponseAsync());
        }

        Assert.Equal(2, seen.Count);
        Assert.All(seen, head => Assert.Contains("\r\nX-Forwarded-For: 9.9.9.9\r\n", head));
    }

    [Theory]
    [InlineData("127.0.0.0/8", "", false)]
    [InlineData("127.0.0.0/8", "PROXY TCP4 9.9.9.999 127.0.0.1 5000 80\r\n", false)]
    [InlineData("127.0.0.0/8", "PROXY TCP4 9.9.9.9 127.0.0.1 5000 80\r\nPROXY TCP4 8.8.8.8 127.0.0.1 5000 80\r\n", false)]
    [InlineData("10.0.0.0/8", "PROXY TCP4 9.9.9.9 127.0.0.1 5000 80\r\n", false)]
    [InlineData("10.0.0.0/8", "\r\n\r\n\0\r\nQUIT\n\u0021\u0011\0\u000c\u0009\u0009\u0009\u0008\u0009\u0009\u0009\u0009\u0013\u0088\0P", false)]
    [InlineData("10.0.0.0/8", "", true)]
    public async Task A_header_is_needed_from_trusted_peers_and_no_protocol_of_others(string trusted, string header, bool served)
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(Trust(trusted, proxyProtocol: true), TestProxy.Service(instance.EndPoint));

        var answer = await proxy.RoundTripAsync(header + "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");

        Assert.Equal(served, answer.EndsWith("\r\n\r\nok", StringComparison.Ordinal));
        Assert.Equal(served ? 1 : 0, instance.Connections);
    }

    [Theory]
    [InlineData("127.0.0.0/8", true)]
    [InlineData("10.0.0.0/8", false)]
    public async Task On_the_port_with_TLS_the_header_stands_before_the_handshake(string trusted, bool served)
    {
        var seen = "";
        await using var instance = ScriptedInstance.Answering(Ok, head => seen = head);
        await using var proxy = await TestProxy.StartAsync(Trust(trusted, proxyProtocol: true), TestProxy.Service(instance.EndPoint));
        await using var plain = await ScriptedConnection.ConnectAsync(proxy.TlsEndPoint);

        await plain.SendAsync("PROXY TCP4 9.9.9.9 127.0.0.1 5000 443\r\n");
        if (!served)
        {
            await Assert.ThrowsAnyAsync<Exception>(() => plain.BeginTlsAsync(new() { TargetHost = "a.test" }));
            Assert.Equal(0, instance.Connections);
            return;
        }
        await using var client = await plain.BeginTlsAsync(new() { TargetHost = "a.test" });
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        Assert.EndsWith("\r\n\r\nok", await client.ReadResponseAsync());

        Assert.Contains("\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n", seen);
    }

    [Fact]
    public async Task A_header_that_does_not_come_costs_the_connection()
    {
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(Trust("127.0.0.0/8", proxyProtocol: true), TestProxy.Service(instance.EndPoint));
        await using var client = await proxy.ConnectAsync();

        await client.SendAsync("PROXY TCP4 9.9.9.9 ");

        Assert.Equal("", await client.ReadToEndAsync());
    }
}
