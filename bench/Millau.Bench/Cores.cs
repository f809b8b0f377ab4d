namespace Millau.Bench;

/// <summary>Cores of the machine and how busy they are. Times are in clock ticks of 10 ms.</summary>
internal static class Cores
{
    /// <summary>Clock ticks a second; fixed by the kernel's interface on every architecture in use.</summary>
    public const int TicksPerSecond = 100;

    /// <summary>All cores, whatever this process is pinned to.</summary>
    public static int OfMachine { get; } = File.ReadLines("/proc/stat").Count(l => l.StartsWith("cpu", StringComparison.Ordinal)) - 1;

    /// <summary>All cores, as <c>taskset</c> wants them.</summary>
    public static string All => $"0-{OfMachine - 1}";

    /// <summary>Time a core was not idle: user, nice, system, interrupts and what the hypervisor took away.</summary>
    public static long BusyTicks(int core)
    {
        var prefix = $"cpu{core} ";
        foreach (var line in File.ReadLines("/proc/stat"))
        {
            if (!line.StartsWith(prefix, StringComparison.Ordinal))
                continue;
            var fields = line[prefix.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            // user nice system idle iowait irq softirq steal
            return long.Parse(fields[0]) + long.Parse(fields[1]) + long.Parse(fields[2]) + long.Parse(fields[5])
                + long.Parse(fields[6]) + long.Parse(fields[7]);
        }
        throw new InvalidOperationException($"/proc/stat has no line for core {core}");
    }
}
