using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests.Hostile;

/// <summary>Three instances that all requests go to, and another service whose labels and tasks change all the time.</summary>
internal sealed class SoakStack : IAsyncDisposable
{
    private readonly EngineStandIn _engine;
    private readonly List<Tool> _instances = [];
    private readonly int _port = Ports.Free();
    private readonly StandInService _other;
    private StandInTask? _task;

    private SoakStack(EngineStandIn engine)
    {
        _engine = engine;
        _other = StandInStack.Add(engine, "other", _port, ("millau.hosts", "other.test"));
    }

    public int Changes { get; private set; }

    public static async Task<SoakStack> StartAsync(EngineStandIn engine)
    {
        var stack = new SoakStack(engine);
        var app = StandInStack.Add(engine, "app", stack._port, ("millau.hosts", "app.test"));
        for (var i = 1; i <= 3; i++)
        {
            var instance = Tool.Start(
                Path.Combine(MillauBinary.Root, "tests/EchoService/bin/Debug/net10.0/echo"), [],
                new Dictionary<string, string?> { ["PORT"] = $"{stack._port}", ["ADDRESS"] = $"127.44.0.{i + 1}", ["NAME"] = $"app-{i}" });
            stack._instances.Add(instance);
            await Until.TrueAsync(() => instance.Output.Contains("listening", StringComparison.Ordinal), $"instance {i} listens: {instance.Output}");
            StandInStack.Run(engine, app, i, $"127.44.0.{i + 1}");
        }
        return stack;
    }

    /// <summary>Another path each time; the task comes and goes.</summary>
    public void ChangeRoutes()
    {
        Changes++;
        _engine.Change(e =>
        {
            _other.Labels["millau.path"] = $"/v{Changes % 100}";
            _other.Version++;
            if (_task is not null) e.Tasks.Remove(_task);
        });
        if (_task is not null)
        {
            _task = null;
            _engine.Emit("service", "update", _other.Id);
        }
        else
        {
            _task = StandInStack.Run(_engine, _other, 1, $"127.44.0.{Changes % 3 + 2}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var instance in _instances) await instance.DisposeAsync();
    }
}
