using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Discovery;
using Millau.Telemetry;
using Millau.Tests.Telemetry;

namespace Millau.Tests;

public class CommandLineTests
{
    private readonly StringWriter _output = new();
    private readonly StringWriter _error = new();

    [Fact]
    public async Task No_arguments_run()
    {
        Assert.Null(await HandleAsync());
        Assert.Equal("", _output.ToString() + _error);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("-h")]
    [InlineData("help")]
    public async Task Help_lists_every_setting_with_its_default(string argument)
    {
        Assert.Equal(0, await HandleAsync([argument]));

        var text = _output.ToString();
        foreach (var name in new[]
            { "HTTP", "HTTPS", "TELEMETRY", "LOGGING", "ACME", "LICENSE", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH" })
        {
            Assert.Matches($@"(?m)^  {name} ", text);
        }

        foreach (var value in new[] { "80", "443", "9100", "INFO", Settings.DefaultAcme, EngineEndpoint.Default })
            Assert.Contains($" {value}\n", text.ReplaceLineEndings("\n"));
        Assert.All(text.Split('\n'), l => Assert.InRange(l.Length, 0, 80));
        Assert.Equal("", _error.ToString());
    }

    [Fact]
    public async Task The_version_is_told()
    {
        Assert.Equal(0, await HandleAsync(["--version"]));
        Assert.Matches(@"^Millau \d+\.\d+\.\d+\r?\n$", _output.ToString());
    }

    [Theory]
    [InlineData("run")]
    [InlineData("--healthcheck")]
    [InlineData("healthcheck now")]
    [InlineData("--help me")]
    public async Task Anything_else_is_an_error_of_use(string arguments)
    {
        Assert.Equal(2, await HandleAsync(arguments.Split(' ')));
        Assert.Equal("", _output.ToString());
        var line = Assert.Single(_error.ToString().TrimEnd().Split('\n'));
        Assert.Contains(arguments, line);
        Assert.Contains("--help", line);
    }

    [Fact]
    public async Task The_health_check_asks_the_telemetry_port()
    {
        var health = HealthTests.CreateUp();
        await using var server = await TelemetryServer.StartAsync(
            0, new Dictionary<string, TelemetryPage> { ["/"] = HealthPages.Word(health) }, NullLoggerFactory.Instance, IPAddress.Loopback);
        string? Getenv(string name) => name == "TELEMETRY" ? $":{server.Port}" : null;

        Assert.Equal(0, await HandleAsync(["healthcheck"], Getenv));
        Assert.Equal("", _output.ToString() + _error);

        health.Drain();
        Assert.Equal(1, await HandleAsync(["healthcheck"], Getenv));
        Assert.Contains("503", Assert.Single(_error.ToString().TrimEnd().Split('\n')));
    }

    [Fact]
    public async Task The_health_check_names_a_bad_setting()
    {
        Assert.Equal(1, await HandleAsync(["healthcheck"], name => name == "TELEMETRY" ? "x" : null));
        Assert.Contains("TELEMETRY", _error.ToString());
    }

    private Task<int?> HandleAsync(string[]? args = null, Func<string, string?>? getenv = null) =>
        CommandLine.TryHandleAsync(args ?? [], getenv ?? (_ => null), _output, _error);
}
