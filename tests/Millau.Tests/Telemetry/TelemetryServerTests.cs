using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Telemetry;

namespace Millau.Tests.Telemetry;

public sealed class TelemetryServerTests : IAsyncLifetime
{
    private readonly Health _health = HealthTests.CreateUp();
    private readonly HttpClient _client = new() { Timeout = TimeSpan.FromSeconds(10) };
    private TelemetryServer _server = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await TelemetryServer.StartAsync(
            0,
            new Dictionary<string, TelemetryPage>
            {
                ["/"] = HealthPages.Word(_health),
                ["/health"] = HealthPages.Json(_health),
            },
            NullLoggerFactory.Instance,
            IPAddress.Loopback);
        _client.BaseAddress = new Uri($"http://127.0.0.1:{_server.Port}");
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Up_is_200_and_down_is_503()
    {
        await AssertAnswerAsync(HttpMethod.Get, "/", HttpStatusCode.OK, "up");
        await AssertAnswerAsync(HttpMethod.Get, "/?x=1", HttpStatusCode.OK, "up");

        _health.Down(Health.Engine, "refused");
        await AssertAnswerAsync(HttpMethod.Get, "/", HttpStatusCode.ServiceUnavailable, "down");

        _health.Up(Health.Engine);
        await AssertAnswerAsync(HttpMethod.Get, "/", HttpStatusCode.OK, "up");
    }

    [Fact]
    public async Task Health_as_JSON_says_why_and_since_when()
    {
        var answer = await _client.GetAsync("/health");
        var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("application/json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Equal("up", json.GetProperty("status").GetString());
        Assert.Equal(_health.Current.Since, json.GetProperty("since").GetDateTimeOffset());
        Assert.Empty(json.GetProperty("reasons").EnumerateArray());

        _health.Down(Health.Engine, "refused");
        answer = await _client.GetAsync("/health");
        json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("down", json.GetProperty("status").GetString());
        var reason = Assert.Single(json.GetProperty("reasons").EnumerateArray());
        Assert.Equal("engine", reason.GetProperty("condition").GetString());
        Assert.Equal("refused", reason.GetProperty("reason").GetString());
        Assert.Equal(_health.Current.Since, reason.GetProperty("since").GetDateTimeOffset());
    }

    [Fact]
    public async Task Nothing_is_stored_or_guessed_at()
    {
        foreach (var path in new[] { "/", "/health", "/x" })
        {
            var answer = await _client.GetAsync(path);
            Assert.Equal("no-store", answer.Headers.CacheControl?.ToString());
            Assert.Equal(["nosniff"], answer.Headers.GetValues("X-Content-Type-Options"));
        }
    }

    [Fact]
    public async Task HEAD_has_the_length_and_no_body()
    {
        var response = await AssertAnswerAsync(HttpMethod.Head, "/", HttpStatusCode.OK, "");
        Assert.Equal(2, response.Content.Headers.ContentLength);

        // The connection is in order afterwards.
        await AssertAnswerAsync(HttpMethod.Get, "/", HttpStatusCode.OK, "up");
    }

    [Theory]
    [InlineData("POST")]
    [InlineData("DELETE")]
    [InlineData("OPTIONS")]
    public async Task Other_methods_are_405(string method)
    {
        var response = await AssertAnswerAsync(
            new HttpMethod(method), "/", HttpStatusCode.MethodNotAllowed, "method not allowed\n");
        Assert.Equal(["GET", "HEAD"], response.Content.Headers.Allow.Order());
    }

    [Theory]
    [InlineData("/x")]
    [InlineData("//")]
    [InlineData("/up")]
    public async Task Other_paths_are_404(string path) =>
        await AssertAnswerAsync(HttpMethod.Get, path, HttpStatusCode.NotFound, "not found\n");

    [Fact]
    public async Task The_health_check_is_content_only_with_up()
    {
        var patience = TimeSpan.FromSeconds(10);
        Assert.Null(await HealthCheck.RunAsync(_server.Port, patience));

        _health.Drain();
        Assert.Equal(
            $"unhealthy: port {_server.Port} answered \"HTTP/1.1 503 Service Unavailable\"",
            await HealthCheck.RunAsync(_server.Port, patience));
    }

    private async Task<HttpResponseMessage> AssertAnswerAsync(
        HttpMethod method, string target, HttpStatusCode status, string body)
    {
        var response = await _client.SendAsync(
            new HttpRequestMessage(method, new Uri(_client.BaseAddress!.ToString().TrimEnd('/') + target)));
        Assert.Equal(status, response.StatusCode);
        Assert.Equal(body, await response.Content.ReadAsStringAsync());
        Assert.Equal("text/plain", response.Content.Headers.ContentType?.MediaType);
        Assert.Empty(response.Headers.Server);
        return response;
    }
}
