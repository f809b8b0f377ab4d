using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Millau.Bench;

/// <summary>
/// Runs h2load, the client of HTTP/2; over HTTP/1.1 it is the client of handshakes, as it resumes no session. It tells the mean of
/// the latencies, and no percentiles.
/// </summary>
internal static partial class H2Load
{
    private const int Streams = 10;

    // Below what the slowest can take on a core, so that all of them do the same work in the same time.
    private const int HandshakesPerSecond = 400;

    /// <exception cref="InvalidOperationException">h2load failed or did not end in time.</exception>
    public static WrkResult Run(Workload workload, RunningProxy proxy, int seconds, string cores)
    {
        var handshakes = HandshakesPerSecond * seconds;
        string[] load = workload.IsHandshake
            ? ["--h1", $"-c{handshakes}", $"-n{handshakes}", $"-r{HandshakesPerSecond / 10}", "--rate-period=100ms"]
            : [$"-c{workload.Connections}", $"-m{Streams}", $"-D{seconds}", "--npn-list=h2"];
        var start = new ProcessStartInfo("taskset", ["-c", cores, "h2load", "-t1", .. load, workload.Url(proxy)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromSeconds(seconds + 20)))
        {
            process.Kill();
            throw new InvalidOperationException($"h2load did not end within {seconds + 20} s");
        }

        var text = output.Result;
        var statuses = Statuses().Match(text);
        var mean = Mean().Match(text);
        if (!statuses.Success || !mean.Success || !text.Contains(workload.IsHttp2 ? "Application protocol: h2" : "Application protocol: http/1.1", StringComparison.Ordinal))
            throw new InvalidOperationException($"h2load failed: {text} {error.Result}");
        var counts = statuses.Groups.Values.Skip(1).Select(g => long.Parse(g.Value, CultureInfo.InvariantCulture)).ToArray();
        // Those under way when the time is over are no errors.
        return new WrkResult(counts[0], TimeSpan.FromSeconds(seconds), double.NaN, double.NaN, counts[1..].Sum())
        {
            MeanMilliseconds = Milliseconds(mean),
        };
    }

    private static double Milliseconds(Match mean) => double.Parse(mean.Groups[1].Value, CultureInfo.InvariantCulture) * mean.Groups[2].Value switch
    {
        "us" => 1e-3,
        "ms" => 1,
        _ => 1e3,
    };

    [GeneratedRegex(@"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")]
    private static partial Regex Statuses();

    // min, max, mean, sd, share within one sd
    [GeneratedRegex(@"time for request: +\S+ +\S+ +([\d.]+)(us|ms|s)")]
    private static partial Regex Mean();
}
