using Millau.Forwarding;

namespace Millau.Telemetry.Metrics;

/// <summary>How attempts end, in one word each: a place for each failure, one for an answer, one for a client that went.</summary>
internal static class OutcomeLabel
{
    private static readonly string[] Names =
        ["answered", "refused", "connect_timeout", "no_socket", "tls", "stale", "closed", "broken", "timeout", "aborted"];

    public static int Count => Names.Length;

    public static int Answered => (int)AttemptFailure.None;

    /// <summary>The client went, or broke its own body.</summary>
    public static int Aborted => Names.Length - 1;

    public static string Name(int index) => Names[index];
}
