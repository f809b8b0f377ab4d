using System.Net;
using System.Net.Sockets;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class EngineEndpointTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("unix:///var/run/docker.sock")]
    public void The_default_is_the_usual_socket(string? value)
    {
        Assert.True(EngineEndpoint.TryParse(value, null, null, out var endpoint, out _));
        Assert.Equal("/var/run/docker.sock", Assert.IsType<UnixDomainSocketEndPoint>(endpoint!.Address).ToString());
        Assert.Equal("docker", endpoint.BaseUri.Host);
    }

    [Theory]
    [InlineData("tcp://10.0.0.1:2377", "10.0.0.1:2377", "http://10.0.0.1:2377/")]
    [InlineData("tcp://10.0.0.1", "10.0.0.1:2375", "http://10.0.0.1:2375/")]
    [InlineData("tcp://[::1]:99/", "[::1]:99", "http://[::1]:99/")]
    public void Tcp_has_an_address_and_docker_s_port_by_default(string value, string address, string uri)
    {
        Assert.True(EngineEndpoint.TryParse(value, null, null, out var endpoint, out _));
        Assert.Equal(IPEndPoint.Parse(address), endpoint!.Address);
        Assert.Equal(uri, endpoint.BaseUri.ToString());
    }

    [Fact]
    public void A_host_name_is_resolved_when_connecting()
    {
        Assert.True(EngineEndpoint.TryParse("tcp://socket-proxy:2375", null, null, out var endpoint, out _));
        Assert.Equal("socket-proxy", Assert.IsType<DnsEndPoint>(endpoint!.Address).Host);
    }

    [Theory]
    [InlineData("unix://docker.sock")]
    [InlineData("/var/run/docker.sock")]
    [InlineData("ssh://host")]
    [InlineData("npipe:////./pipe/docker_engine")]
    [InlineData("tcp://")]
    [InlineData("tcp://host:99999")]
    [InlineData("tcp://host/path")]
    [InlineData("tcp://user@host:1")]
    public void Anything_else_is_refused_with_one_line(string value)
    {
        Assert.False(EngineEndpoint.TryParse(value, null, null, out var endpoint, out var error));
        Assert.Null(endpoint);
        Assert.StartsWith($"name=DOCKER_HOST value=\"{value}\" allowed=\"", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_certificate_path_without_its_files_is_refused()
    {
        var nowhere = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("N"));
        Assert.False(EngineEndpoint.TryParse("tcp://h:1", "1", nowhere, out _, out var error));
        Assert.StartsWith($"name=DOCKER_CERT_PATH value=\"{nowhere}\" allowed=\"a directory with readable ca.pem", error,
            StringComparison.Ordinal);
    }
}
