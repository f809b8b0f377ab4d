namespace Millau.Bench;

/// <summary>CPU time and memory of a process with all its children, read from /proc.</summary>
internal sealed class ProcessTree
{
    private readonly int[] _ids;

    private ProcessTree(int[] ids) => _ids = ids;

    /// <summary>The process and its children as they are now.</summary>
    public static ProcessTree Of(int root)
    {
        var parents = new Dictionary<int, int>();
        foreach (var entry in Directory.EnumerateDirectories("/proc"))
            if (int.TryParse(Path.GetFileName(entry), out var id) && Stat(id) is { } stat)
                parents[id] = int.Parse(stat[1]);
        return new ProcessTree([.. parents.Keys.Where(id => DescendsFrom(id, root, parents))]);
    }

    public IReadOnlyList<int> Ids => _ids;

    /// <summary>User and system time of all threads so far, in ticks of <see cref="Cores.TicksPerSecond"/>.</summary>
    public long CpuTicks()
    {
        long ticks = 0;
        foreach (var id in _ids)
        {
            var stat = Stat(id) ?? throw new InvalidOperationException($"process {id} ended while it was measured");
            ticks += long.Parse(stat[11]) + long.Parse(stat[12]);
        }
        return ticks;
    }

    /// <summary>Begins a new peak for <see cref="PeakKilobytes"/>.</summary>
    public void ResetPeak()
    {
        foreach (var id in _ids)
            File.WriteAllText($"/proc/{id}/clear_refs", "5");
    }

    /// <summary>The sum of the processes' resident sizes; shared pages count in each.</summary>
    public long ResidentKilobytes() => _ids.Sum(id => Status(id, "VmRSS:"));

    /// <summary>The sum of the processes' largest resident sizes since <see cref="ResetPeak"/>; shared pages count in each.</summary>
    public long PeakKilobytes() => _ids.Sum(id => Status(id, "VmHWM:"));

    /// <summary>When a process began, in ticks since boot: with the id it names one process for certain. Null if it is gone.</summary>
    public static string? StartTicks(int id) => Stat(id)?[19];

    private static long Status(int id, string field) => long.Parse(File.ReadLines($"/proc/{id}/status")
        .First(l => l.StartsWith(field, StringComparison.Ordinal))[field.Length..].Replace("kB", "", StringComparison.Ordinal));

    private static bool DescendsFrom(int id, int root, Dictionary<int, int> parents)
    {
        for (; id != root; id = parents[id])
            if (!parents.TryGetValue(id, out var parent) || parent <= 1)
                return false;
        return true;
    }

    /// <summary>The fields after the command name, of which [0] is the state; null if there is no such process.</summary>
    private static string[]? Stat(int id)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{id}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return null;
        }
    }
}
