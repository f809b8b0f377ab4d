using System.Collections.Concurrent;
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Millau.Demo;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

/// <summary>Discovery against a stand-in of the Engine, with short periods; what it publishes and logs is kept.</summary>
internal sealed class DiscoveryRun : IAsyncDisposable, ILogger
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _stop = new();
    private readonly DockerDiscovery _discovery;
    private Task _running = Task.CompletedTask;
    private volatile ServiceCatalog _catalog = ServiceCatalog.Empty;

    private DiscoveryRun(EngineStandIn engine, DiscoveryOptions options)
    {
        Engine = engine;
        _discovery = new DockerDiscovery(options, this, TimeProvider.System, catalog =>
        {
            Catalogs.Enqueue(catalog);
            _catalog = catalog;
        });
    }

    public EngineStandIn Engine { get; }

    public ServiceCatalog Catalog => _catalog;

    public DiscoveryHealth Health => _discovery.Health;

    public ConcurrentQueue<ServiceCatalog> Catalogs { get; } = new();

    public ConcurrentQueue<(LogLevel Level, string Text)> Lines { get; } = new();

    public IEnumerable<string> Warnings => Lines.Where(l => l.Level == LogLevel.Warning).Select(l => l.Text);

    public static DiscoveryTiming Quick { get; } = new()
    {
        CallDeadline = TimeSpan.FromSeconds(3),
        Slow = TimeSpan.FromMilliseconds(200),
        SlowAtMost = TimeSpan.FromMilliseconds(400),
        SlowWithoutEvents = TimeSpan.FromMilliseconds(100),
        Follow = TimeSpan.FromMilliseconds(50),
        Settle = TimeSpan.FromMilliseconds(300),
        AfterEvent = TimeSpan.FromMilliseconds(5),
        NoSwarmRetry = TimeSpan.FromMilliseconds(200),
        ForbiddenRetry = TimeSpan.FromMilliseconds(200),
        BackoffAtLeast = TimeSpan.FromMilliseconds(20),
        BackoffAtMost = TimeSpan.FromMilliseconds(100),
    };

    /// <summary>Reading alone would find a change late: what is seen in time was told by events.</summary>
    public static DiscoveryTiming EventsOnly { get; } = Quick with
    {
        Slow = TimeSpan.FromMinutes(5),
        SlowAtMost = TimeSpan.FromMinutes(5),
    };

    /// <summary>The stand-in is the caller's to dispose of.</summary>
    public static DiscoveryRun Start(EngineStandIn engine, DiscoveryTiming? timing = null, string? ownContainerId = null, params ImmutableArray<int> clientPorts)
    {
        Assert.True(EngineEndpoint.TryParse(engine.DockerHost, null, null, out var endpoint, out var error), error);
        var run = new DiscoveryRun(engine, new DiscoveryOptions
        {
            Endpoint = endpoint!,
            OwnContainerId = ownContainerId,
            ClientPorts = clientPorts,
            Timing = timing ?? Quick,
        });
        run._running = Task.Run(() => run._discovery.RunAsync(run._stop.Token));
        return run;
    }

    public Task FirstRead() => _discovery.FirstRead.WaitAsync(Deadline);

    /// <summary>Polls until the catalog is as wanted.</summary>
    public Task Until(Func<ServiceCatalog, bool> condition, string what) => Until(() => condition(_catalog), what);

    public async Task Until(Func<bool> condition, string what)
    {
        var end = DateTime.UtcNow + Deadline;
        while (!condition())
        {
            if (DateTime.UtcNow > end)
                Assert.Fail($"not seen in time: {what}\n{Describe()}");
            await Task.Delay(5);
        }
    }

    /// <summary>Until two more reads of everything went by, so that what would come of the state has come.</summary>
    public async Task UntilReadAgain(string path = "/containers/json?all=1")
    {
        var before = Count(path);
        await Until(() => Count(path) >= before + 3, $"reads of {path}");
    }

    /// <summary>Until the Engine was left alone for longer than the time between two reads of what moves.</summary>
    public async Task UntilQuiet()
    {
        var last = -1;
        var since = DateTime.UtcNow;
        await Until(() =>
        {
            if (Engine.Requests.Count != last)
                (last, since) = (Engine.Requests.Count, DateTime.UtcNow);
            return DateTime.UtcNow - since > Quick.Follow * 8;
        }, "no further reads");
    }

    public int Count(string pathAndQuery) =>
        Engine.Requests.Count(r => r.EndsWith(pathAndQuery, StringComparison.Ordinal));

    public Service? Find(string name) => _catalog.Services.FirstOrDefault(s => s.Name == name);

    public ImmutableArray<Instance> InstancesOf(string name) => Find(name)?.Instances ?? [];

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.WaitAsync(Deadline);
        _discovery.Dispose();
        _stop.Dispose();
    }

    void ILogger.Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter) =>
        Lines.Enqueue((logLevel, formatter(state, exception) + exception));

    bool ILogger.IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Debug;

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;

    private string Describe() => string.Join('\n', _catalog.Services.Select(s =>
        $"{s.Name} starting={s.IsStarting} [{string.Join(", ", s.Instances)}]")) + "\n"
        + string.Join('\n', Lines.TakeLast(40).Select(l => l.Text));
}

/// <summary>Shorthand for scripting the stand-in.</summary>
internal static class StandInScript
{
    public static Dictionary<string, string> Enabled(params (string Name, string Value)[] more)
    {
        var labels = new Dictionary<string, string> { ["millau.enabled"] = "true", ["millau.port"] = "80" };
        foreach (var (name, value) in more)
            labels[name] = value;
        return labels;
    }

    /// <summary>Adds a service with so many running tasks and announces it.</summary>
    public static StandInService AddService(
        this EngineStandIn engine, string name, int replicas = 1, Dictionary<string, string>? labels = null,
        StandInNetwork? network = null)
    {
        var service = new StandInService(engine.NewId("service"), name)
        {
            Labels = labels ?? Enabled(),
            Replicas = replicas,
        };
        engine.Change(e =>
        {
            e.Services.Add(service);
            for (var slot = 1; slot <= replicas; slot++)
                e.AddTask(service, slot, network);
        });
        engine.Emit("service", "create", service.Id);
        return service;
    }

    public static StandInTask AddTask(
        this EngineStandIn engine, StandInService service, int slot = 1, StandInNetwork? network = null,
        string state = "running")
    {
        var task = new StandInTask(engine.NewId("task"), service)
        {
            Slot = slot,
            State = state,
            ContainerId = engine.NewId("container"),
        };
        task.Attachments.Add((network ?? engine.Bridge, $"127.0.0.{slot + 1}/8"));
        engine.Change(e => e.Tasks.Add(task));
        return task;
    }

    /// <summary>Changes a service and announces it.</summary>
    public static void Update(this EngineStandIn engine, StandInService service, Action change)
    {
        engine.Change(_ =>
        {
            change();
            service.Version++;
        });
        engine.Emit("service", "update", service.Id);
    }

    public static StandInContainer AddContainer(
        this EngineStandIn engine, string name, Dictionary<string, string>? labels = null, string health = "",
        long created = 0, StandInNetwork? network = null, string address = "127.0.0.9", string networkMode = "default",
        string stopSignal = "")
    {
        var container = new StandInContainer(engine.NewId("plain"), name)
        {
            Labels = labels ?? Enabled(),
            Health = health,
            Created = created,
            NetworkMode = networkMode,
            StopSignal = stopSignal,
        };
        if (networkMode != "host")
            container.Attachments.Add((network ?? engine.Bridge, address));
        engine.Change(e => e.Containers.Add(container));
        engine.Emit("container", "start", container.Id);
        return container;
    }
}
