using Microsoft.Extensions.Logging;

namespace Millau.Tests;

public class SettingsTests
{
    [Fact]
    public void Nothing_set_gives_the_defaults()
    {
        var settings = Read();

        Assert.Equal(new Settings(), settings);
        Assert.Equal(80, settings.HttpPort);
        Assert.Equal(443, settings.HttpsPort);
        Assert.Equal(9100, settings.TelemetryPort);
        Assert.Equal(LogLevel.Information, settings.LogLevel);
        Assert.Equal("https://acme-v02.api.letsencrypt.org/directory", settings.Acme?.AbsoluteUri);
        Assert.True(settings.DebuggingHeaders);
        Assert.Equal("unix:///var/run/docker.sock", settings.Engine.Text);
        Assert.Null(settings.Engine.Tls);
    }

    [Theory]
    [InlineData("HTTP")]
    [InlineData("HTTPS")]
    [InlineData("HTTPS_PUBLISHED")]
    [InlineData("TELEMETRY")]
    [InlineData("LOGGING")]
    [InlineData("ACME")]
    [InlineData("LICENSE")]
    [InlineData("MAX_CONNECTIONS")]
    [InlineData("MAX_STREAMS")]
    [InlineData("HEADER_TIMEOUT")]
    [InlineData("BODY_TIMEOUT")]
    [InlineData("IDLE_TIMEOUT")]
    [InlineData("TRUSTED_PROXIES")]
    [InlineData("PROXY_PROTOCOL")]
    [InlineData("ALLOWED_HOSTS")]
    [InlineData("DOCKER_HOST")]
    [InlineData("DOCKER_TLS_VERIFY")]
    [InlineData("DOCKER_CERT_PATH")]
    public void An_empty_variable_is_unset(string name)
    {
        Assert.Equal(new Settings(), Read((name, "")));
        Assert.Equal(new Settings(), Read((name, "  ")));
    }

    [Theory]
    [InlineData("8080", 8080)]
    [InlineData(":8080", 8080)]
    [InlineData("1", 1)]
    [InlineData("65535", 65535)]
    [InlineData(" 8080 ", 8080)]
    public void Ports(string value, int port)
    {
        Assert.Equal(port, Read(("HTTP", value)).HttpPort);
        Assert.Equal(port, Read(("HTTPS", value)).HttpsPort);
        Assert.Equal(port, Read(("HTTPS", value)).HttpsPublishedPort);
        Assert.Equal(port, Read(("HTTPS", "8443"), ("HTTPS_PUBLISHED", value)).HttpsPublishedPort);
        Assert.Equal(port, Read(("TELEMETRY", value)).TelemetryPort);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("65536")]
    [InlineData("99999999999")]
    [InlineData("-1")]
    [InlineData("+80")]
    [InlineData("8 0")]
    [InlineData(":")]
    [InlineData("::80")]
    [InlineData("http")]
    [InlineData("0.0.0.0:80")]
    [InlineData("٨٠")]
    public void Bad_ports(string value)
    {
        AssertError("HTTP", value, "1 to 65535");
        AssertError("HTTPS", value, "1 to 65535");
        AssertError("TELEMETRY", value, "1 to 65535");
    }

    [Fact]
    public void Two_listeners_on_one_port_are_refused()
    {
        AssertError("HTTPS", "80", "HTTP");
        AssertError("TELEMETRY", ":443", "HTTPS", shown: "443");
        Assert.Equal(80, Read(("HTTP", "443"), ("HTTPS", "80")).HttpsPort);
    }

    [Theory]
    [InlineData("FATAL", LogLevel.Critical)]
    [InlineData("ERROR", LogLevel.Error)]
    [InlineData("WARN", LogLevel.Warning)]
    [InlineData("INFO", LogLevel.Information)]
    [InlineData("DEBUG", LogLevel.Debug)]
    [InlineData("debug", LogLevel.Debug)]
    [InlineData("Warn", LogLevel.Warning)]
    public void Log_levels(string value, LogLevel level) => Assert.Equal(level, Read(("LOGGING", value)).LogLevel);

    [Theory]
    [InlineData("TRACE")]
    [InlineData("2")]
    [InlineData("WARNING")]
    public void Bad_log_levels(string value) => AssertError("LOGGING", value, "FATAL, ERROR, WARN, INFO or DEBUG");

    [Fact]
    public void Acme_is_an_address_or_off()
    {
        Assert.Equal("ca.local", Read(("ACME", "https://ca.local:14000/dir")).Acme?.Host);
        Assert.Null(Read(("ACME", "off")).Acme);
        Assert.Null(Read(("ACME", "OFF")).Acme);
        AssertError("ACME", "no", "off");
        AssertError("ACME", "ftp://ca.local/dir", "off");
        AssertError("ACME", "/directory", "off");
    }

    [Fact]
    public void Any_license_turns_the_debugging_headers_off() =>
        Assert.False(Read(("LICENSE", "anything")).DebuggingHeaders);

    [Fact]
    public void The_engine_is_where_DOCKER_HOST_says()
    {
        Assert.Equal("tcp://docker.local:1234", Read(("DOCKER_HOST", "tcp://docker.local:1234")).Engine.Text);
        AssertError("DOCKER_HOST", "ssh://host", "unix:///path/to/docker.sock or tcp://host:port");
        AssertError("DOCKER_HOST", "unix://var/run/docker.sock", "unix:// with an absolute path");
    }

    [Fact]
    public void Certificates_for_the_engine_that_are_not_there_are_an_error()
    {
        Assert.False(TryRead(
            [("DOCKER_HOST", "tcp://docker.local"), ("DOCKER_CERT_PATH", "/does/not/exist")], out _, out var error));
        Assert.Contains("DOCKER_CERT_PATH", error);
        Assert.Contains("/does/not/exist", error);
    }

    [Fact]
    public void The_first_of_several_errors_is_told_in_one_line()
    {
        Assert.False(TryRead([("HTTP", "x\ny"), ("LOGGING", "y")], out var settings, out var error));
        Assert.Contains("HTTP", error);
        Assert.DoesNotContain("LOGGING", error);
        Assert.Equal(new Settings(), settings);
    }

    [Fact]
    public void Limits_of_clients()
    {
        var limits = Read(("MAX_CONNECTIONS", "7"), ("MAX_STREAMS", "8"), ("HEADER_TIMEOUT", "9"), ("BODY_TIMEOUT", "10"), ("IDLE_TIMEOUT", "11")).Clients.Limits;

        Assert.Equal((7, 8), (limits.Connections, limits.Streams));
        Assert.Equal((9, 10, 11), (limits.Header.TotalSeconds, limits.Body.TotalSeconds, limits.Idle.TotalSeconds));
        AssertError("MAX_CONNECTIONS", "0", "1 to 1000000");
        AssertError("MAX_STREAMS", "many", "1 to 10000");
        AssertError("HEADER_TIMEOUT", "1", "2 to 86400");
        AssertError("BODY_TIMEOUT", "-5", "2 to 86400");
        AssertError("IDLE_TIMEOUT", "1.5", "2 to 86400");
    }

    [Theory]
    [InlineData("10.0.0.0/8")]
    [InlineData("10.0.0.0/8 192.0.2.7,2001:db8::/32")]
    public void Proxies_that_are_trusted(string value)
    {
        Assert.NotNull(Read(("TRUSTED_PROXIES", value)).Clients.Trusted);
        Assert.True(Read(("TRUSTED_PROXIES", value), ("PROXY_PROTOCOL", "on")).Clients.ProxyProtocol);
    }

    [Theory]
    [InlineData("10.0.0.0/33")]
    [InlineData("proxy.local")]
    [InlineData("10.0.0.0/8;")]
    public void Bad_proxies(string value) => AssertError("TRUSTED_PROXIES", value, "10.0.0.0/8");

    [Fact]
    public void The_proxy_protocol_is_on_or_off_and_needs_to_know_from_whom()
    {
        Assert.False(Read(("PROXY_PROTOCOL", "OFF")).Clients.ProxyProtocol);
        AssertError("PROXY_PROTOCOL", "yes", "on or off");
        AssertError("PROXY_PROTOCOL", "on", "TRUSTED_PROXIES");
    }

    [Fact]
    public void Hosts_that_stacks_may_claim()
    {
        Assert.NotNull(Read(("ALLOWED_HOSTS", "shop=shop.com *.shop.com; *=*")).AllowedHosts);
        AssertError("ALLOWED_HOSTS", "shop.com", "shop=shop.com");
    }

    private static Settings Read(params (string, string)[] variables)
    {
        Assert.True(TryRead(variables, out var settings, out var error), error);
        Assert.Equal("", error);
        return settings;
    }

    private static void AssertError(string name, string value, string allowed, string? shown = null)
    {
        Assert.False(TryRead([(name, value)], out _, out var error));
        Assert.Contains($"name={name} ", error);
        Assert.Contains($"value=\"{shown ?? value}\"", error);
        Assert.Contains(allowed, error);
    }

    private static bool TryRead((string Name, string Value)[] variables, out Settings settings, out string error) =>
        Settings.TryRead(n => variables.FirstOrDefault(v => v.Name == n).Value, out settings, out error);
}
