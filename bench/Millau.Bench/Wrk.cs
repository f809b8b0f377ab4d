using System.Diagnostics;
using System.Globalization;

namespace Millau.Bench;

/// <summary>What one run of the client saw; no number where it does not tell. Errors are failed connects, reads and writes, timeouts, and answers other than 2xx.</summary>
internal sealed record WrkResult(long Requests, TimeSpan Duration, double MedianMilliseconds, double P99Milliseconds, long Errors)
{
    public double MeanMilliseconds { get; init; } = double.NaN;
    public double LeastMilliseconds { get; init; } = double.NaN;
}

/// <summary>Runs the client of a measurement: wrk, or h2load for HTTP/2 and handshakes.</summary>
internal static class Wrk
{
    /// <exception cref="InvalidOperationException">wrk failed or did not end in time.</exception>
    public static WrkResult Run(Workload workload, RunningProxy proxy, int seconds, string cores, string directory)
    {
        if (workload.IsHttp2 || workload.IsHandshake) return H2Load.Run(workload, proxy, seconds, cores);
        var script = Path.Combine(directory, workload.Name + ".lua");
        if (!File.Exists(script))
            File.WriteAllText(script, workload.Script());
        var start = new ProcessStartInfo("taskset")
        {
            ArgumentList =
            {
                "-c", workload.IsOnAllCores ? Cores.All : cores, "wrk", "-t1", $"-c{workload.Connections}", $"-d{seconds}s", "--timeout", "10s", "-s", script,
                workload.Url(proxy),
            },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromSeconds(seconds + 20)))
        {
            process.Kill();
            throw new InvalidOperationException($"wrk did not end within {seconds + 20} s");
        }

        var line = output.Result.Split('\n').FirstOrDefault(l => l.StartsWith("RESULT ", StringComparison.Ordinal))
            ?? throw new InvalidOperationException($"wrk failed: {output.Result} {error.Result}");
        var n = line[7..].Split(' ').Select(v => long.Parse(v, CultureInfo.InvariantCulture)).ToArray();
        return new WrkResult(n[0], TimeSpan.FromMicroseconds(n[1]), n[2] / 1e3, n[3] / 1e3, n[4])
        {
            MeanMilliseconds = n[5] / 1e3,
            LeastMilliseconds = n[6] / 1e3,
        };
    }
}
