using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Millau.Demo;

/// <summary>
/// A stand-in of the Engine API as far as Millau asks for it, scripted by the demo and the tests: services, tasks,
/// containers, networks and events, and every fault that an Engine or a proxy before it may show.
/// </summary>
/// <remarks>
/// Nothing moves by itself: whoever scripts changes the state and says which events the Engine would send. Tasks may be
/// given loopback addresses, and the one bridge network makes these reachable for a Millau outside a container.
/// </remarks>
internal sealed class EngineStandIn : IAsyncDisposable
{
    public const string NodeId = "node1";

    private readonly Lock _gate = new();
    private readonly string? _socketPath;
    private readonly X509Certificate2? _certificate;
    private readonly ConcurrentDictionary<string, Func<HttpContext, Task>> _faults = new();
    private readonly List<(Channel<string> Lines, CancellationTokenSource Cut)> _streams = [];
    private WebApplication? _app;
    private int _port;
    private int _lastId;

    private EngineStandIn(string? socketPath, X509Certificate2? certificate)
    {
        _socketPath = socketPath;
        _certificate = certificate;
    }

    public List<StandInService> Services { get; } = [];
    public List<StandInTask> Tasks { get; } = [];
    public List<StandInContainer> Containers { get; } = [];
    public List<StandInNetwork> Networks { get; } = [];

    /// <summary>The bridge network that exists from the start.</summary>
    public StandInNetwork Bridge { get; } = new("net-bridge", "bridge");

    public Version ApiVersion { get; set; } = new(1, 41);

    /// <summary>Older versions in a path are refused, as Docker 29 does.</summary>
    public Version OldestApiVersion { get; set; } = new(1, 12);

    /// <summary>What Swarm paths answer with 503 when this Engine is no manager; null for a manager.</summary>
    public string? NotManager { get; set; }

    /// <summary>Keeps the event stream open but sends nothing on it.</summary>
    public bool IsSilent { get; set; }

    /// <summary>Path and query of each request so far, in order.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>Event streams that are open now.</summary>
    public int OpenStreams
    {
        get
        {
            lock (_gate)
                return _streams.Count;
        }
    }

    /// <summary>For <c>DOCKER_HOST</c>.</summary>
    public string DockerHost => _socketPath is null ? $"tcp://127.0.0.1:{_port}" : "unix://" + _socketPath;

    /// <summary>On a unix socket, or on a free port of the loopback interface, there with TLS if wanted.</summary>
    public static async Task<EngineStandIn> StartAsync(string? socketPath = null, X509Certificate2? certificate = null)
    {
        var engine = new EngineStandIn(socketPath, certificate);
        engine.Networks.Add(engine.Bridge);
        await engine.ListenAsync();
        return engine;
    }

    /// <summary>Ends as a daemon does: connections break, events end without a last chunk. State is kept.</summary>
    public async Task StopAsync()
    {
        if (_app is not { } app)
            return;
        _app = null;
        DropStreams();
        await app.StopAsync();
        await app.DisposeAsync();
    }

    /// <summary>Listens again where it did before.</summary>
    public Task RestartAsync() => ListenAsync();

    public async ValueTask DisposeAsync() => await StopAsync();

    /// <summary>Changes the state in one step as seen by requests.</summary>
    public void Change(Action<EngineStandIn> change)
    {
        lock (_gate)
            change(this);
    }

    /// <summary>An id that was not given out before.</summary>
    public string NewId(string prefix) =>
        prefix + Interlocked.Increment(ref _lastId).ToString(CultureInfo.InvariantCulture);

    /// <summary>Sends an event on every open stream.</summary>
    public void Emit(string type, string action, string id, params ReadOnlySpan<(string Name, string Value)> attributes)
    {
        var map = new JsonObject();
        foreach (var (name, value) in attributes)
            map[name] = value;
        var line = new JsonObject
        {
            ["Type"] = type,
            ["Action"] = action,
            ["Actor"] = new JsonObject { ["ID"] = id, ["Attributes"] = map },
            ["scope"] = type == "container" ? "local" : "swarm",
            ["timeNano"] = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1_000_000,
        }.ToJsonString();
        if (IsSilent)
            return;
        lock (_gate)
            foreach (var (lines, _) in _streams)
                lines.Writer.TryWrite(line);
    }

    /// <summary>Breaks all event streams.</summary>
    public void DropStreams()
    {
        lock (_gate)
            foreach (var (_, cut) in _streams)
                cut.Cancel();
    }

    /// <summary>Answers a path (without version and query) in another way from now on; null ends that.</summary>
    public void Fault(string path, Func<HttpContext, Task>? answer)
    {
        if (answer is null)
            _faults.TryRemove(path, out _);
        else
            _faults[path] = answer;
    }

    public static Func<HttpContext, Task> Status(int status, string message) => context =>
    {
        context.Response.StatusCode = status;
        return WriteAsync(context, new JsonObject { ["message"] = message });
    };

    /// <summary>A body as it is, with status 200.</summary>
    public static Func<HttpContext, Task> Body(string contentType, string body) => context =>
    {
        context.Response.ContentType = contentType;
        return context.Response.WriteAsync(body);
    };

    /// <summary>Never answers; ends with the connection.</summary>
    public static Func<HttpContext, Task> Hang() => context =>
        Task.Delay(Timeout.Infinite, context.RequestAborted)
            .ContinueWith(static _ => { }, TaskScheduler.Default);

    private async Task ListenAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            if (_socketPath is null)
                kestrel.Listen(System.Net.IPAddress.Loopback, _port, listen =>
                {
                    if (_certificate is not null)
                        listen.UseHttps(_certificate);
                });
            else
                kestrel.ListenUnixSocket(_socketPath);
        });
        builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = TimeSpan.FromMilliseconds(100));
        var app = builder.Build();
        app.Run(AnswerAsync);
        await app.StartAsync();
        if (_socketPath is null)
            _port = new Uri(app.Urls.First()).Port;
        _app = app;
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        Requests.Enqueue(path + context.Request.QueryString);
        if (context.Request.Method != "GET")
        {
            await Status(405, "only GET is needed")(context);
            return;
        }

        if (path.StartsWith("/v", StringComparison.Ordinal) && path.IndexOf('/', 1) is > 0 and var slash
            && Version.TryParse(path.AsSpan(2, slash - 2), out var version))
        {
            if (version > ApiVersion)
            {
                await Status(400, $"client version {version} is too new. Maximum supported API version is {ApiVersion}")(context);
                return;
            }

            if (version < OldestApiVersion)
            {
                await Status(400, $"client version {version} is too old. Minimum supported API version is {OldestApiVersion}")(context);
                return;
            }

            path = path[slash..];
        }

        if (_faults.TryGetValue(path, out var fault))
            await fault(context);
        else if (path == "/events")
            await StreamAsync(context);
        else
            await AnswerListAsync(context, path);
    }

    private Task AnswerListAsync(HttpContext context, string path)
    {
        lock (_gate)
        {
            if (NotManager is { } message && path is "/services" or "/tasks" or "/nodes")
                return Status(503, NotManager ?? message)(context);
            switch (path)
            {
                case "/_ping":
                    context.Response.Headers["Api-Version"] = ApiVersion.ToString();
                    context.Response.Headers.Server = "Docker/stand-in (linux)";
                    return context.Response.WriteAsync("OK");
                case "/version":
                    return WriteAsync(context, new JsonObject { ["ApiVersion"] = ApiVersion.ToString() });
                case "/services":
                    var ids = Filter(context, "id");
                    return WriteAsync(context, List(Services.Where(s => ids.Count == 0 || ids.Exists(id => s.Id.StartsWith(id, StringComparison.Ordinal)))
                        .Select(s => s.ToJson())));
                case "/tasks":
                    var wanted = Filter(context, "service");
                    return wanted.Find(id => !Services.Exists(s => s.Id == id)) is { } unknown
                        ? Status(404, $"service {unknown} not found")(context)
                        : WriteAsync(context, List(Tasks.Where(t => wanted.Count == 0 || wanted.Contains(t.Service.Id))
                            .Select(t => t.ToJson())));
                case "/containers/json":
                    return WriteAsync(context, List(Containers.Select(c => c.ToJson())));
                case "/networks":
                    return WriteAsync(context, List(Networks.Select(n => n.ToJson())));
            }

            if (path.StartsWith("/containers/", StringComparison.Ordinal) && path.EndsWith("/json", StringComparison.Ordinal)
                && Containers.Find(c => c.Id == path["/containers/".Length..^"/json".Length]) is { } container)
                return WriteAsync(context, container.ToDetailJson());
        }

        return Status(404, "page not found")(context);
    }

    private async Task StreamAsync(HttpContext context)
    {
        var lines = Channel.CreateUnbounded<string>();
        using var cut = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        lock (_gate)
            _streams.Add((lines, cut));
        try
        {
            context.Response.ContentType = "application/json";
            context.Features.Get<IHttpResponseBodyFeature>()!.DisableBuffering();
            await context.Response.StartAsync(cut.Token);
            await context.Response.Body.FlushAsync(cut.Token);
            await foreach (var line in lines.Reader.ReadAllAsync(cut.Token))
            {
                await context.Response.WriteAsync(line + "\n", cut.Token);
                await context.Response.Body.FlushAsync(cut.Token);
            }
        }
        catch (OperationCanceledException)
        {
            context.Abort();
        }
        finally
        {
            lock (_gate)
                _streams.Remove((lines, cut));
        }
    }

    private static List<string> Filter(HttpContext context, string name) =>
        context.Request.Query["filters"].ToString() is { Length: > 0 } text
        && JsonNode.Parse(text)?[name] is JsonArray values
            ? [.. values.Select(v => v!.GetValue<string>())]
            : [];

    private static JsonArray List(IEnumerable<JsonObject> items) => new([.. items.Select(i => (JsonNode)i)]);

    private static Task WriteAsync(HttpContext context, JsonNode body)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(body.ToJsonString());
    }
}
