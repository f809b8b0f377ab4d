using System.Globalization;

namespace Millau.Bench;

/// <summary>What the figures were taken on and with; a line of Markdown each.</summary>
internal static class Machine
{
    public static IEnumerable<string> Facts(Options options)
    {
        yield return $"- {DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}, "
            + $"{Cores.OfMachine} cores of {Field("/proc/cpuinfo", "model name") ?? "an unnamed CPU"}, "
            + $"{Memory()} GB of memory, Linux {File.ReadAllText("/proc/sys/kernel/osrelease").Trim()}";
        yield return $"- Millau at commit {Tool.Output("git", "rev-parse", "--short=10", "HEAD") ?? "unknown"}, .NET {Environment.Version}";
        yield return "- " + string.Join(", ", Versions().Where(v => v.Version is not null).Select(v => $"{v.Name} {v.Version}"));
    }

    private static IEnumerable<(string Name, string? Version)> Versions()
    {
        foreach (var package in (string[])["nginx", "haproxy", "caddy", "wrk", "nghttp2-client", "libssl3"])
            yield return (package, Tool.Output("dpkg-query", "-W", "-f", "${Version}", package));
        yield return ("YARP", File.Exists("Directory.Packages.props") ? File.ReadLines("Directory.Packages.props")
            .Where(l => l.Contains("Yarp.ReverseProxy", StringComparison.Ordinal)).Select(l => l.Split('"')[3]).FirstOrDefault() : null);
    }

    private static string Memory() =>
        Field("/proc/meminfo", "MemTotal") is { } total ? (long.Parse(total.Split(' ')[0], CultureInfo.InvariantCulture) >> 20).ToString(CultureInfo.InvariantCulture) : "?";

    private static string? Field(string file, string name) => File.ReadLines(file)
        .Where(l => l.StartsWith(name, StringComparison.Ordinal)).Select(l => l[(l.IndexOf(':') + 1)..].Trim()).FirstOrDefault();
}
