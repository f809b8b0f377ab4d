namespace Millau.Bench;

/// <summary>
/// Resident memory of each proxy, idle, under load, with many idle clients, and after all of them have gone. A proxy is started
/// anew in each round.
/// </summary>
internal static class MemoryBench
{
    public const string Name = "memory";
    public const string Idle = "idle_mb";
    public const string Loaded = "loaded_mb";
    public const string PerClient = "idle_client_kb";
    public const string After = "after_mb";

    private const int Clients = 10_000;

    /// <summary>More than these connections a proxy need not be ready for.</summary>
    public const int MostConnections = 12_000;

    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(2);

    public static async Task RunAsync(Origin origin, EngineStandIn engine, Options options, Figures figures, List<string> problems)
    {
        var workload = Workload.All[0];
        for (var round = 0; round < Math.Min(options.Rounds, 3); round++)
            foreach (var kind in ProxyKind.For(null, options))
            {
                try
                {
                    using var proxy = RunningProxy.Start(kind, null, origin.Port, engine, options, MostConnections);
                    await MeasureAsync(proxy, workload, round, options, figures);
                }
                catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
                {
                    problems.Add($"{Name}: {kind.Name}: {e.Message}");
                }
                Console.Error.Write('.');
            }
        Console.Error.WriteLine();
    }

    private static async Task MeasureAsync(RunningProxy proxy, Workload workload, int round, Options options, Figures figures)
    {
        await Task.Delay(Rest);
        Add(Idle, Megabytes(proxy.Tree.ResidentKilobytes()));
        proxy.Tree.ResetPeak();
        Wrk.Run(workload, proxy, Math.Max(options.Seconds, 4), options.LoadCores, options.Directory);
        Add(Loaded, Megabytes(proxy.Tree.PeakKilobytes()));
        await Task.Delay(Rest);
        var before = proxy.Tree.ResidentKilobytes();
        var head = $"GET {workload.Path} HTTP/1.1\r\nHost: 127.0.0.1:{proxy.Port}\r\n\r\n";
        using (await Connections.OpenAsync(proxy.Port, Clients, head, workload.AnswerBytes))
        {
            await Task.Delay(Rest);
            Add(PerClient, (proxy.Tree.ResidentKilobytes() - before) / (double)Clients);
        }
        // As long as a collector and a heartbeat may take to notice.
        await Task.Delay(TimeSpan.FromSeconds(5));
        Add(After, Megabytes(proxy.Tree.ResidentKilobytes()));

        void Add(string measure, double value) => figures.Add(Name, proxy.Kind.Name, measure, round, value);
    }

    private static double Megabytes(long kilobytes) => kilobytes / 1024.0;
}
