using System.Globalization;
using Millau.Demo;

namespace Millau.PeerTests.Support;

/// <summary>Services of an Engine stand-in whose instances are programs or scripts at loopback addresses.</summary>
internal static class StandInStack
{
    public static StandInService Add(EngineStandIn engine, string name, int port, params (string Name, string Value)[] labels)
    {
        var service = new StandInService(engine.NewId("service"), name);
        service.Labels["millau.enabled"] = "true";
        service.Labels["millau.port"] = port.ToString(CultureInfo.InvariantCulture);
        foreach (var (label, value) in labels) service.Labels[label] = value;
        engine.Change(e => e.Services.Add(service));
        engine.Emit("service", "create", service.Id);
        return service;
    }

    /// <summary>A task that runs at an address of the loopback network.</summary>
    public static StandInTask Run(EngineStandIn engine, StandInService service, int slot, string address)
    {
        var task = new StandInTask(engine.NewId("task"), service) { Slot = slot, ContainerId = engine.NewId("container") };
        task.Attachments.Add((engine.Bridge, address + "/8"));
        engine.Change(e =>
        {
            service.Replicas = Math.Max(service.Replicas ?? 0, slot);
            service.Version++;
            e.Tasks.Add(task);
        });
        engine.Emit("service", "update", service.Id);
        return task;
    }
}
