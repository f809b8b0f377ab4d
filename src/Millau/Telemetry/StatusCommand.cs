using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Millau.Telemetry;

/// <summary><c>millau status</c>: asks the instance on this host and prints what it says.</summary>
internal static class StatusCommand
{
    /// <summary>All is well, or the request would be taken.</summary>
    public const int Well = 0;

    /// <summary>Something is wrong, or the request would not reach an instance.</summary>
    public const int Wrong = 1;

    /// <summary>Nobody could be asked.</summary>
    public const int NotAsked = 3;

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    /// <summary>Prints everything as JSON, as <c>/status</c> gives it.</summary>
    /// <param name="port">The telemetry port.</param>
    public static async Task<int> PrintJsonAsync(int port, TextWriter output, TextWriter error)
    {
        if (await AskAsync(port, "/status", StatusJson.Default.StatusReport, error).ConfigureAwait(false) is not { } report)
            return NotAsked;
        output.WriteLine(JsonSerializer.Serialize(report, StatusJson.Default.StatusReport));
        return Judge(report);
    }

    /// <summary>Prints everything.</summary>
    /// <param name="port">The telemetry port.</param>
    public static async Task<int> RunAsync(int port, TextWriter output, TextWriter error)
    {
        if (await AskAsync(port, "/status", StatusJson.Default.StatusReport, error).ConfigureAwait(false) is not { } report)
            return NotAsked;
        StatusTable.Write(report, output);
        return Judge(report);
    }

    private static int Judge(StatusReport report) => report.Status == "up" && !report.Problems.Concat(report.Services.SelectMany(s => s.Problems)).Any(p => p.Severity == "error")
            ? Well
            : Wrong;

    /// <summary>Prints what would become of a request.</summary>
    /// <param name="address">Host and path, as <c>example.com/api</c>; with <c>https://</c> before it, as with TLS.</param>
    /// <param name="withCertificate">The client shows a valid certificate.</param>
    public static async Task<int> TryAsync(
        int port, string address, string method, bool withCertificate, TextWriter output, TextWriter error)
    {
        var scheme = address.IndexOf("://", StringComparison.Ordinal);
        var rest = scheme < 0 ? address : address[(scheme + 3)..];
        var slash = rest.IndexOf('/');
        var (host, path) = slash < 0 ? (rest, "/") : (rest[..slash], rest[slash..]);
        var target = $"/status?host={Uri.EscapeDataString(host)}&path={Uri.EscapeDataString(path)}&method={Uri.EscapeDataString(method)}"
            + (address.StartsWith("https://", StringComparison.OrdinalIgnoreCase) ? "&scheme=https" : "")
            + (withCertificate ? "&certificate=valid" : "");
        if (await AskAsync(port, target, StatusJson.Default.TrialReport, error).ConfigureAwait(false) is not { } trial)
            return NotAsked;
        StatusTable.Write(trial, output);
        return trial.Outcome is TrialOutcomes.Forwarded or TrialOutcomes.Redirected ? Well : Wrong;
    }

    private static async Task<T?> AskAsync<T>(int port, string target, JsonTypeInfo<T> type, TextWriter error)
        where T : class
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = Deadline };
        try
        {
            var answer = await client.GetAsync(new Uri($"http://127.0.0.1:{port}{target}")).ConfigureAwait(false);
            var body = await answer.Content.ReadAsStringAsync().ConfigureAwait(false);
            if (answer.IsSuccessStatusCode && JsonSerializer.Deserialize(body, type) is { } value)
                return value;
            error.WriteLine(TextTable.Printable($"millau: port {port} answered {(int)answer.StatusCode}: {body.TrimEnd()}"));
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException or JsonException)
        {
            error.WriteLine(TextTable.Printable($"millau: port {port}: {e.Message}; is Millau running on this host, and TELEMETRY as it is there?"));
        }

        return null;
    }
}
