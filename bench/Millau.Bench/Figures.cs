using System.Globalization;

namespace Millau.Bench;

/// <summary>One number that was measured.</summary>
/// <param name="Workload">As in <c>--workload</c>.</param>
/// <param name="Subject">The proxy, or what of one was varied.</param>
/// <param name="Measure">What was measured; one of <see cref="Measures"/>, or a workload's own.</param>
internal sealed record Figure(string Workload, string Subject, string Measure, int Round, double Value);

/// <summary>Measures that several workloads have, and their units.</summary>
internal static class Measures
{
    /// <summary>User and system time of the proxy's processes, microseconds a request.</summary>
    public const string Cpu = "cpu_us";

    public const string RequestsPerSecond = "requests_s";
    public const string Mean = "mean_ms";
    public const string Median = "p50_ms";
    public const string P99 = "p99_ms";
    public const string Least = "min_ms";

    /// <summary>Largest resident size during a run, MB of 1024 KB of 1024 bytes.</summary>
    public const string Peak = "peak_mb";

    /// <summary>Share of the proxy's core that something else had, 0 to 1.</summary>
    public const string CoreLost = "core_lost";

    public const string Errors = "errors";

    /// <summary>Bytes allocated on Millau's collected heap for a request.</summary>
    public const string Allocated = "allocated_bytes";
}

/// <summary>All figures so far, of this run and of earlier ones: a file for each workload, written anew with the workload.</summary>
internal sealed class Figures
{
    private readonly string _directory;
    private readonly List<Figure> _all = [];

    private Figures(string directory) => _directory = directory;

    public static Figures Open(string directory)
    {
        var figures = new Figures(Directory.CreateDirectory(directory).FullName);
        foreach (var file in Directory.EnumerateFiles(directory, "*.csv").Order(StringComparer.Ordinal))
            foreach (var line in File.ReadLines(file).Skip(1))
            {
                var f = line.Split(',');
                // A subject may have commas in it; the rest has none.
                figures._all.Add(new Figure(Path.GetFileNameWithoutExtension(file), string.Join(',', f[..^3]), f[^3],
                    int.Parse(f[^2], CultureInfo.InvariantCulture), double.Parse(f[^1], CultureInfo.InvariantCulture)));
            }
        return figures;
    }

    /// <summary>Forgets what an earlier run found of this workload.</summary>
    public void Begin(string workload) => _all.RemoveAll(f => f.Workload == workload);

    public void Add(string workload, string subject, string measure, int round, double value)
    {
        if (!double.IsNaN(value)) _all.Add(new Figure(workload, subject, measure, round, value));
    }

    public void Save(string workload)
    {
        var found = Of(workload).ToList();
        if (found.Count > 0)
            File.WriteAllLines(Path.Combine(_directory, workload + ".csv"), found
                .Select(f => string.Create(CultureInfo.InvariantCulture, $"{f.Subject},{f.Measure},{f.Round},{f.Value:0.####}"))
                .Prepend("subject,measure,round,value"));
    }

    public IEnumerable<Figure> Of(string workload) => _all.Where(f => f.Workload == workload);

    public bool Has(string workload) => _all.Exists(f => f.Workload == workload);

    /// <summary>In the order in which they were measured.</summary>
    public IEnumerable<string> Subjects(string workload) => Of(workload).Select(f => f.Subject).Distinct();

    public double[] Values(string workload, string subject, string measure) =>
        [.. Of(workload).Where(f => f.Subject == subject && f.Measure == measure).Select(f => f.Value)];

    /// <summary>Not a number if it was not measured.</summary>
    public double Median(string workload, string subject, string measure) => Statistics.Median(Values(workload, subject, measure));

    /// <summary>The one with the least median among those whose name begins so; null if none was measured.</summary>
    public string? Best(string workload, string measure, params string[] names) => Subjects(workload)
        .Where(s => names.Any(n => s == n || s.StartsWith(n + "-", StringComparison.Ordinal)))
        .Where(s => !double.IsNaN(Median(workload, s, measure))).MinBy(s => Median(workload, s, measure));

    /// <summary>The median of the rounds' ratios: a round's figures were taken seconds apart, so their ratio is steadier than that of the medians.</summary>
    /// <param name="workload">Of these figures.</param>
    /// <param name="subject">What is measured.</param>
    /// <param name="reference">By what it is divided.</param>
    /// <param name="measure">Which figure.</param>
    /// <param name="mostLost">A round in which others took a larger share of the core than this says nothing.</param>
    public double Ratio(string workload, string subject, string? reference, string measure, double mostLost = 1)
    {
        if (reference is null) return double.NaN;
        var disturbed = Of(workload).Where(f => f.Measure == Measures.CoreLost && f.Value > mostLost).Select(f => f.Round).ToHashSet();
        var of = Of(workload).Where(f => f.Measure == measure && !disturbed.Contains(f.Round)).ToLookup(f => (f.Subject, f.Round), f => f.Value);
        return Statistics.Median(of.Where(g => g.Key.Subject == subject && of[(reference, g.Key.Round)].Any())
            .Select(g => g.Average() / of[(reference, g.Key.Round)].Average()));
    }
}
