using System.Globalization;
using Millau.Demo;

namespace Millau.Bench;

/// <summary>
/// A Swarm of many services, as the Engine API shows it; all their tasks are the one origin. One service answers for the
/// host 127.0.0.1, service i besides for <c>si.test</c>.
/// </summary>
internal sealed class ScaleSwarm : IAsyncDisposable
{
    private readonly Demo.EngineStandIn _engine;

    private ScaleSwarm(Demo.EngineStandIn engine) => _engine = engine;

    public int Port => new Uri(_engine.DockerHost).Port;

    /// <param name="port">Where each task listens, on 127.0.0.1.</param>
    /// <param name="services">How many, besides the one for 127.0.0.1.</param>
    /// <param name="tasks">Of each of these, and of the one for 127.0.0.1.</param>
    public static async Task<ScaleSwarm> StartAsync(int port, int services, int tasks)
    {
        var engine = await Demo.EngineStandIn.StartAsync();
        engine.Change(e =>
        {
            for (var i = -1; i < services; i++)
            {
                var service = new StandInService(e.NewId("service"), i < 0 ? "home" : $"s{i}") { Replicas = tasks };
                service.Labels["millau.enabled"] = "true";
                service.Labels["millau.port"] = port.ToString(CultureInfo.InvariantCulture);
                service.Labels["millau.hosts"] = i < 0 ? "127.0.0.1" : $"s{i}.test";
                e.Services.Add(service);
                for (var slot = 1; slot <= tasks; slot++)
                {
                    var task = new StandInTask(e.NewId("task"), service) { Slot = slot, ContainerId = e.NewId("container") };
                    task.Attachments.Add((e.Bridge, "127.0.0.1/8"));
                    e.Tasks.Add(task);
                }
            }
        });
        return new ScaleSwarm(engine);
    }

    /// <summary>Gives a service another second host name, and tells so.</summary>
    public void Rename(int service, string host)
    {
        var id = "";
        _engine.Change(e =>
        {
            var changed = e.Services[service + 1];
            changed.Labels["millau.hosts"] = $"s{service}.test {host}";
            changed.Version++;
            id = changed.Id;
        });
        _engine.Emit("service", "update", id);
    }

    public ValueTask DisposeAsync() => _engine.DisposeAsync();
}
