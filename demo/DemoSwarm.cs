using System.Globalization;
using System.Net;

namespace Millau.Demo;

/// <summary>
/// Does to services what a Swarm does: deploys, scales, updates, replaces what died. The Engine stand-in shows each step
/// as an Engine would, events included where an Engine sends any; the tasks seem to run on other nodes, so that nothing
/// announces their end but the task list. Waits are those of a Swarm, shortened.
/// </summary>
/// <remarks>Concurrency: one operation at a time; others wait for their turn.</remarks>
internal sealed class DemoSwarm(EngineStandIn engine) : IAsyncDisposable
{
    /// <summary>From "will run" to running: the time that a container takes.</summary>
    private static readonly TimeSpan StartTime = TimeSpan.FromMilliseconds(500);

    /// <summary>From "will stop" in the API to SIGTERM: about three seconds in a Swarm with overlay networks.</summary>
    private static readonly TimeSpan StopNotice = TimeSpan.FromSeconds(1);

    /// <summary>From a death to its being noticed and a new task: about five seconds in a Swarm.</summary>
    private static readonly TimeSpan RestartDelay = TimeSpan.FromSeconds(3);

    private readonly SemaphoreSlim _turn = new(1);
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, Deployed> _services = new(StringComparer.Ordinal);
    private int _lastAddress;

    public IEnumerable<string> Names => _services.Keys;

    /// <summary>Creates a service with its tasks running.</summary>
    /// <param name="name">The service's name.</param>
    /// <param name="replicas">At least one.</param>
    /// <param name="greeting">The first line of what its instances answer.</param>
    /// <param name="labels"><c>millau.*</c> labels besides <c>millau.enabled</c> and <c>millau.port</c>.</param>
    public Task DeployAsync(string name, int replicas, string greeting, params (string Name, string Value)[] labels) =>
        InTurnAsync(async () =>
        {
            var model = new StandInService(engine.NewId("service"), name) { Replicas = replicas };
            var service = new Deployed(model, greeting);
            for (var slot = 1; slot <= replicas; slot++)
                service.Members.Add(await StartAsync(service, NewTask(service, slot)));
            model.Labels["millau.enabled"] = "true";
            model.Labels["millau.port"] = service.Port.ToString(CultureInfo.InvariantCulture);
            foreach (var (label, value) in labels)
                model.Labels[label] = value;
            engine.Change(e =>
            {
                e.Services.Add(model);
                e.Tasks.AddRange(service.Members.Select(m => m.Task));
            });
            _services.Add(name, service);
            engine.Emit("service", "create", model.Id);
        });

    /// <summary>Starts what is missing, or stops what is too many; returns once that is done.</summary>
    public Task ScaleAsync(string name, int replicas) => InTurnAsync(async () =>
    {
        var service = _services[name];
        Announce(service, () => service.Model.Replicas = replicas);
        var surplus = service.Members.Where(m => m.Task.Slot > replicas).ToList();
        var missing = Enumerable.Range(1, replicas).Where(slot => service.Members.All(m => m.Task.Slot != slot));
        foreach (var slot in missing.ToList())
            await AddAsync(service, slot);
        await RemoveAsync(service, surplus, "remove");
    });

    /// <summary>Replaces one task after the other, each by a new one that is started first.</summary>
    public Task UpdateAsync(string name) => InTurnAsync(async () =>
    {
        var service = _services[name];
        Announce(service, () => service.Model.UpdateState = "updating");
        foreach (var old in service.Members.ToList())
        {
            await AddAsync(service, old.Task.Slot);
            await RemoveAsync(service, [old], "shutdown");
        }

        Announce(service, () => service.Model.UpdateState = "completed");
    });

    /// <summary>
    /// Kills the process of the first task. Nobody tells Millau. Returns once a new task runs in its place.
    /// </summary>
    /// <returns>The name of what was killed; null when the service has no task.</returns>
    public async Task<string?> KillAsync(string name)
    {
        Member? victim = null;
        await InTurnAsync(async () =>
        {
            victim = _services[name].Members.FirstOrDefault();
            if (victim is not null)
                await victim.Process.KillAsync();
        });
        if (victim is null)
            return null;
        await Task.Delay(RestartDelay, _stop.Token);
        await InTurnAsync(async () =>
        {
            var service = _services[name];
            if (!service.Members.Remove(victim))
                return;
            engine.Change(_ => victim.Task.State = "failed");
            await AddAsync(service, victim.Task.Slot);
        });
        return TaskName(victim.Task);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _turn.WaitAsync();
        foreach (var member in _services.Values.SelectMany(s => s.Members))
            await member.Process.DisposeAsync();
        _services.Clear();
        _turn.Release();
    }

    private async Task InTurnAsync(Func<Task> operation)
    {
        await _turn.WaitAsync(_stop.Token);
        try
        {
            await operation();
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task AddAsync(Deployed service, int slot)
    {
        var task = NewTask(service, slot);
        task.State = "preparing";
        engine.Change(e => e.Tasks.Add(task));
        await Task.Delay(StartTime, _stop.Token);
        service.Members.Add(await StartAsync(service, task));
        engine.Change(_ => task.State = "running");
    }

    private async Task RemoveAsync(Deployed service, List<Member> members, string desiredState)
    {
        if (members.Count == 0)
            return;
        engine.Change(_ => members.ForEach(m => m.Task.DesiredState = desiredState));
        await Task.Delay(StopNotice, _stop.Token);
        foreach (var member in members)
        {
            service.Members.Remove(member);
            await member.Process.StopAsync();
        }

        engine.Change(e =>
        {
            foreach (var member in members)
                e.Tasks.Remove(member.Task);
        });
    }

    private void Announce(Deployed service, Action change)
    {
        engine.Change(_ =>
        {
            change();
            service.Model.Version++;
        });
        engine.Emit("service", "update", service.Model.Id);
    }

    private StandInTask NewTask(Deployed service, int slot) =>
        new(engine.NewId("task"), service.Model) { Slot = slot, ContainerId = engine.NewId("container") };

    // The instances of a service share a port, each on an address of its own, as they do on a network of containers.
    private async Task<Member> StartAsync(Deployed service, StandInTask task)
    {
        for (var attempt = 1; ; attempt++)
        {
            var number = ++_lastAddress;
            var address = new IPAddress([127, 42, (byte)(number / 250), (byte)((number % 250) + 1)]);
            try
            {
                var process = await DemoInstance.StartAsync(TaskName(task), service.Greeting, address, service.Port);
                service.Port = process.Port;
                task.Attachments.Add((engine.Bridge, $"{address}/8"));
                return new Member(task, process);
            }
            catch (IOException) when (attempt < 20)
            {
                // Somebody has this port there: the next address.
            }
        }
    }

    private static string TaskName(StandInTask task) => $"{task.Service.Name}.{task.Slot}.{task.Id}";

    private sealed record Member(StandInTask Task, DemoInstance Process);

    private sealed class Deployed(StandInService model, string greeting)
    {
        public StandInService Model { get; } = model;
        public string Greeting { get; } = greeting;
        public int Port { get; set; }
        public List<Member> Members { get; } = [];
    }
}
