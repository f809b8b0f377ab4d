using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Millau.Bench;

/// <summary>
/// The Engine API with one running container in it, the origin; nothing ever changes. Not a Swarm node. It lives in the bench's
/// own process, which is on the load's cores.
/// </summary>
internal sealed partial class EngineStandIn : IAsyncDisposable
{
    private const string ContainerId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    private const string NetworkId = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

    private readonly WebApplication _app;

    private EngineStandIn(WebApplication app, int port) => (_app, Port) = (app, port);

    public int Port { get; }

    /// <summary>What the container's labels have as certificate; set before a Millau is started.</summary>
    public BenchCertificate? Certificate { get; set; }

    public static async Task<EngineStandIn> StartAsync(int originPort)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        EngineStandIn? engine = null;
        app.Run(context => AnswerAsync(context, originPort, engine!.Certificate));
        await app.StartAsync();
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return engine = new EngineStandIn(app, new Uri(address).Port);
    }

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await _app.StopAsync(limit.Token);
        await _app.DisposeAsync();
    }

    private static async Task AnswerAsync(HttpContext context, int originPort, BenchCertificate? certificate)
    {
        var path = ApiVersion().Replace(context.Request.Path.Value!, "");
        context.Response.Headers["Api-Version"] = "1.41";
        context.Response.Headers["Ostype"] = "linux";
        switch (path)
        {
            case "/_ping":
                await context.Response.WriteAsync("OK");
                return;
            case "/events":
                // Open and silent for as long as the reader stays.
                await context.Response.StartAsync();
                await context.Response.Body.FlushAsync();
                await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(static _ => { }, TaskScheduler.Default);
                return;
        }

        var (status, body) = path switch
        {
            "/version" => (200, """{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}"""),
            "/info" => (200, """
                {"ID":"BENCH","Name":"bench","ServerVersion":"20.10.24","Swarm":{"NodeID":"","LocalNodeState":"inactive","ControlAvailable":false}}
                """),
            "/containers/json" => (200, $"[{Container(originPort, certificate)}]"),
            $"/containers/{ContainerId}/json" => (200, ContainerDetails(originPort, certificate)),
            "/networks" => (200, $$"""[{"Name":"bridge","Id":"{{NetworkId}}","Driver":"bridge","Scope":"local"}]"""),
            "/services" or "/tasks" or "/nodes" or "/configs" =>
                (503, """{"message":"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again."}"""),
            _ => (404, """{"message":"page not found"}"""),
        };
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(body);
    }

    private static string Labels(int originPort, BenchCertificate? certificate) => certificate is null
        ? $$"""{"millau.enabled":"true","millau.port":"{{originPort}}"}"""
        : $$"""
          {"millau.enabled":"true","millau.port":"{{originPort}}","millau.cert":"{{Base64(certificate.Certificate)}}",
          "millau.key":"{{Base64(certificate.Key)}}"}
          """;

    private static string Base64(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));

    private static string Networks =>
        $$"""{"Networks":{"bridge":{"NetworkID":"{{NetworkId}}","IPAddress":"127.0.0.1","IPPrefixLen":8} } }""";

    private static string Container(int originPort, BenchCertificate? certificate) =>
        $$"""
          {"Id":"{{ContainerId}}","Names":["/origin"],"Image":"origin","State":"running","Status":"Up 1 minute","Labels":{{Labels(originPort, certificate)}},
          "HostConfig":{"NetworkMode":"bridge"},"NetworkSettings":{{Networks}}}
          """;

    private static string ContainerDetails(int originPort, BenchCertificate? certificate) =>
        $$"""
          {"Id":"{{ContainerId}}","Name":"/origin","State":{"Status":"running","Running":true},
          "Config":{"Labels":{{Labels(originPort, certificate)}}},"HostConfig":{"NetworkMode":"bridge"},"NetworkSettings":{{Networks}}}
          """;

    [GeneratedRegex(@"^/v\d+\.\d+")]
    private static partial Regex ApiVersion();
}
