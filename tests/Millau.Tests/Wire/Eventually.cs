using System.Diagnostics;

namespace Millau.Tests.Wire;

/// <summary>Waits for what another thread does, by looking again and again, up to a deadline.</summary>
internal static class Eventually
{
    public static async Task TrueAsync(Func<bool> condition, string? what = null)
    {
        var started = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(started) > ScriptedConnection.Deadline)
                Assert.Fail(what ?? "did not happen in time");
            await Task.Delay(TimeSpan.FromMilliseconds(2));
        }
    }
}
