using System.Diagnostics;

namespace Millau.Bench;

/// <summary>What many services, many instances and many changes cost Millau. Two or three of it run, and take turns.</summary>
internal static class ScaleBench
{
    public const string Services = "services";
    public const string Group = "group";
    public const string Changes = "changes";

    public const string TenServices = "10 services";
    public const string TenOfMany = "10,000 services, 10 of them asked";
    public const string AllOfMany = "10,000 services, all asked";
    public const string Memory = "resident_mb";
    public const string Start = "start_ms";
    public const string PerChange = "change_cpu_ms";
    public const string Effective = "change_effective_ms";

    private const int Many = 10_000;
    private const int ChangesPerSecond = 100;

    private sealed record Case(string Subject, int Services, int Tasks, int Asked);

    /// <summary>10,000 services of two instances against ten.</summary>
    public static Task RunServicesAsync(Origin origin, Options options, Figures figures) => CompareAsync(Services, origin, options, figures,
        new(TenServices, 10, 2, 10), new(TenOfMany, Many, 2, 10), new(AllOfMany, Many, 2, Many));

    /// <summary>1,000 instances in a group against one.</summary>
    public static Task RunGroupAsync(Origin origin, Options options, Figures figures) => CompareAsync(Group, origin, options, figures,
        new("1 instance", 0, 1, 0), new("1,000 instances", 0, 1000, 0));

    private static async Task CompareAsync(string name, Origin origin, Options options, Figures figures, params Case[] cases)
    {
        var running = new List<(Case Case, Workload Workload, RunningProxy Proxy)>();
        await using var swarms = new Swarms();
        try
        {
            foreach (var c in cases)
            {
                var swarm = await swarms.StartAsync(origin.Port, c.Services, c.Tasks);
                var proxy = RunningProxy.StartMillau(origin.Port, swarm.Port, options);
                var workload = Asking(c.Asked);
                running.Add((c, workload, proxy));
                figures.Add(name, c.Subject, Start, 0, proxy.TimeToServe.TotalMilliseconds);
                // Long enough for a connection to each instance, and for each instance to be known to listen.
                Wrk.Run(workload, proxy, options.WarmUpSeconds + 2, options.LoadCores, options.Directory);
            }
            for (var round = 0; round < options.Rounds; round++)
                for (var turn = 0; turn < running.Count; turn++)
                {
                    var (c, workload, proxy) = running[(round + turn) % running.Count];
                    LoadBench.Measure(proxy, workload, round, options).AddTo(figures, name, c.Subject);
                    figures.Add(name, c.Subject, Memory, round, proxy.Tree.ResidentKilobytes() / 1024.0);
                    Console.Error.Write('.');
                }
            Console.Error.WriteLine();
        }
        finally
        {
            running.ForEach(r => r.Proxy.Dispose());
        }
    }

    /// <summary>The routes change under load, in a small Swarm; then in one of 10,000 services, without load.</summary>
    public static async Task RunChangesAsync(Origin origin, Options options, Figures figures)
    {
        const string Quiet = "no changes";
        const string Busy = "100 changes a second";
        await using var swarms = new Swarms();
        var workload = Asking(10);
        var swarm = await swarms.StartAsync(origin.Port, 20, 2);
        using (var proxy = RunningProxy.StartMillau(origin.Port, swarm.Port, options))
        {
            Wrk.Run(workload, proxy, options.WarmUpSeconds, options.LoadCores, options.Directory);
            for (var round = 0; round < options.Rounds; round++)
            {
                LoadBench.Measure(proxy, workload, round, options).AddTo(figures, Changes, Quiet);
                using var end = new CancellationTokenSource();
                var changing = ChangeAsync(swarm, 20, end.Token);
                LoadBench.Measure(proxy, workload, round, options).AddTo(figures, Changes, Busy);
                await end.CancelAsync();
                await changing;
                figures.Add(Changes, Busy, Effective, round, await TimeOfChangeAsync(proxy, swarm, round));
                Console.Error.Write('.');
            }
        }

        var large = await swarms.StartAsync(origin.Port, Many, 2);
        using (var proxy = RunningProxy.StartMillau(origin.Port, large.Port, options))
        {
            await Task.Delay(TimeSpan.FromSeconds(5));
            for (var round = 0; round < options.Rounds; round++)
            {
                var before = proxy.Tree.CpuTicks();
                for (var change = 0; change < 10; change++)
                    figures.Add(Changes, "10,000 services", Effective, round, await TimeOfChangeAsync(proxy, large, round * 10 + change));
                figures.Add(Changes, "10,000 services", PerChange, round,
                    (proxy.Tree.CpuTicks() - before) * 1000.0 / Cores.TicksPerSecond / 10);
                Console.Error.Write('.');
            }
        }
        Console.Error.WriteLine();
    }

    private static async Task ChangeAsync(ScaleSwarm swarm, int services, CancellationToken end)
    {
        var clock = Stopwatch.StartNew();
        for (var change = 0; !end.IsCancellationRequested; change++)
        {
            // What is asked for keeps its name; its neighbours change.
            swarm.Rename(10 + change % (services - 10), $"changed-{change}.test");
            var due = TimeSpan.FromSeconds((change + 1.0) / ChangesPerSecond) - clock.Elapsed;
            if (due > TimeSpan.Zero) await Task.Delay(due, CancellationToken.None);
        }
    }

    /// <summary>Milliseconds from a change's event to the first request that finds the new route.</summary>
    private static async Task<double> TimeOfChangeAsync(RunningProxy proxy, ScaleSwarm swarm, int number)
    {
        var host = $"new-{number}.test";
        var clock = Stopwatch.StartNew();
        swarm.Rename(0, host);
        while (!RunningProxy.Answers(proxy.Port, host))
        {
            if (clock.Elapsed > TimeSpan.FromSeconds(20)) throw new InvalidOperationException($"{host} was not routed within 20 s");
            await Task.Delay(1);
        }
        return clock.Elapsed.TotalMilliseconds;
    }

    private static Workload Asking(int hosts) => Workload.All[0] with { Name = $"json-{hosts}", Hosts = hosts };

    private sealed class Swarms : IAsyncDisposable
    {
        private readonly List<ScaleSwarm> _all = [];

        public async Task<ScaleSwarm> StartAsync(int port, int services, int tasks)
        {
            var swarm = await ScaleSwarm.StartAsync(port, services, tasks);
            _all.Add(swarm);
            return swarm;
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var swarm in _all) await swarm.DisposeAsync();
        }
    }
}
