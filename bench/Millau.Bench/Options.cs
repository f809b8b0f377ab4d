namespace Millau.Bench;

/// <summary>What the command line asks for. <c>bench/run --help</c> explains each.</summary>
internal sealed record Options
{
    public required string Directory { get; init; }
    public required string Configuration { get; init; }
    public required string Artifacts { get; init; }
    public required string MillauBinary { get; init; }

    /// <summary>Proxies by name; null for all.</summary>
    public IReadOnlyList<string>? Only { get; init; }

    public required IReadOnlyList<string> Workloads { get; init; }
    public int Rounds { get; init; } = 5;
    public int Seconds { get; init; } = 3;
    public int WarmUpSeconds { get; init; } = 3;
    public int ProxyCore { get; init; } = 1;
    public bool CountSystemCalls { get; init; }

    /// <summary>Writes all figures so far to docs/performance.</summary>
    public bool Report { get; init; }

    /// <summary>Millau's <c>ACCESS_LOG</c>.</summary>
    public string AccessLog { get; init; } = "off";

    /// <summary>Millau traces each request, to a collector that is not there.</summary>
    public bool Tracing { get; init; }

    /// <summary>All cores but the proxy's, as <c>taskset</c> wants them.</summary>
    public string LoadCores => string.Join(',', Enumerable.Range(0, Cores.OfMachine).Where(c => c != ProxyCore));

    public bool Wants(string proxy) => Only is null || Only.Contains(proxy);

    /// <exception cref="ArgumentException">Names the argument and what is allowed.</exception>
    public static Options Parse(string[] args)
    {
        var values = new Dictionary<string, string>();
        var flags = new HashSet<string>();
        for (var i = 0; i < args.Length; i++)
        {
            if (args[i] is "--no-build" or "--syscalls" or "--tracing" or "--report")
                flags.Add(args[i]);
            else if (args[i] is "--directory" or "--configuration" or "--artifacts" or "--millau" or "--only" or "--workload"
                or "--access-log" or "--rounds" or "--seconds" or "--warmup" or "--core")
                values[args[i]] = ++i < args.Length ? args[i] : throw new ArgumentException($"{args[i - 1]}: a value is missing");
            else
                throw new ArgumentException($"{args[i]}: unknown; bench/run --help lists what is allowed");
        }

        string[] workloads = [.. Workload.All.Select(w => w.Name), MemoryBench.Name, StartBench.Name, ScaleBench.Services,
            ScaleBench.Group, ScaleBench.Changes, WebSocketBench.Name, RouteBench.Name, MetricsBench.Name];
        var artifacts = values.GetValueOrDefault("--artifacts", "artifacts/bench");
        return new Options
        {
            Directory = Path.GetFullPath(values["--directory"]),
            Configuration = Path.GetFullPath(values["--configuration"]),
            Artifacts = Path.GetFullPath(artifacts),
            MillauBinary = Path.GetFullPath(values.GetValueOrDefault("--millau", Path.Combine(artifacts, "millau", "millau"))),
            Only = values.TryGetValue("--only", out var only) ? Names("--only", only, ProxyKind.AllNames) : null,
            Workloads = values.TryGetValue("--workload", out var chosen) ? Names("--workload", chosen, [.. workloads, "none"]) : workloads,
            Rounds = Number(values, "--rounds", 5, 1, 1000),
            Seconds = Number(values, "--seconds", 3, 1, 60),
            WarmUpSeconds = Number(values, "--warmup", 3, 1, 60),
            ProxyCore = Number(values, "--core", 1, 0, Cores.OfMachine - 1),
            AccessLog = Names("--access-log", values.GetValueOrDefault("--access-log", "off"), ["off", "common", "combined", "json"])[0],
            Tracing = flags.Contains("--tracing"),
            Report = flags.Contains("--report"),
            CountSystemCalls = flags.Contains("--syscalls"),
        };
    }

    private static string[] Names(string option, string value, IReadOnlyList<string> allowed)
    {
        var names = value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (var name in names)
            if (!allowed.Contains(name))
                throw new ArgumentException($"{option}={name}: allowed are {string.Join(", ", allowed)}");
        return names;
    }

    private static int Number(Dictionary<string, string> values, string option, int otherwise, int least, int most) =>
        !values.TryGetValue(option, out var value) ? otherwise
        : int.TryParse(value, out var number) && number >= least && number <= most ? number
        : throw new ArgumentException($"{option}={value}: allowed is a number from {least} to {most}");
}
