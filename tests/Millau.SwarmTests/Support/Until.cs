using System.Diagnostics;

namespace Millau.SwarmTests.Support;

/// <summary>Waits for conditions by asking again, never by sleeping for a guess.</summary>
internal static class Until
{
    public static readonly TimeSpan Usual = TimeSpan.FromSeconds(30);

    /// <summary>Asks every 25 ms until the answer is yes.</summary>
    /// <returns>How long that took.</returns>
    /// <exception cref="TimeoutException">Still no after <paramref name="deadline"/>; <paramref name="detail"/> says what was last seen.</exception>
    public static async Task<TimeSpan> TrueAsync(string what, Func<Task<bool>> ask, Func<string>? detail = null, TimeSpan? deadline = null)
    {
        var clock = Stopwatch.StartNew();
        while (!await ask())
        {
            if (clock.Elapsed > (deadline ?? Usual))
                throw new TimeoutException($"not after {clock.Elapsed.TotalSeconds:F0} s: {what}; last: {detail?.Invoke()}");
            await Task.Delay(25);
        }
        return clock.Elapsed;
    }
}
