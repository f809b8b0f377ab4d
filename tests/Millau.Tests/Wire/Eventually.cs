using System.Diagnostics;

namespace Millau.Tests.Wire;

/// <summary>Waits for what another thread does, by looking again and again, up to a deadline.</summary>
internal static class Eventually
{
    /// <param name="condition">What to wait for.</param>
    /// <param name="what">Said if it does not happen.</param>
    /// <param name="patience">How long to wait; null for the usual deadline.</param>
    public static async Task TrueAsync(Func<bool> condition, string? what = null, TimeSpan? patience = null)
    {
        var started = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(started) > (patience ?? ScriptedConnection.Deadline))
                Assert.Fail(what ?? "did not happen in time");
            await Task.Delay(TimeSpan.FromMilliseconds(2));
        }
    }
}
