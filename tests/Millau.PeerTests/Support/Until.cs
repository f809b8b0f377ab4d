using System.Diagnostics;

namespace Millau.PeerTests.Support;

/// <summary>Waiting for something to become so, with an end.</summary>
internal static class Until
{
    /// <summary>For what another process does; generous, since it is only reached by a failure.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    public static Task TrueAsync(Func<bool> condition, string what, TimeSpan? deadline = null) =>
        TrueAsync(() => Task.FromResult(condition()), what, deadline);

    public static async Task TrueAsync(Func<Task<bool>> condition, string what, TimeSpan? deadline = null)
    {
        var started = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (Stopwatch.GetElapsedTime(started) > (deadline ?? Deadline))
                Assert.Fail($"not within {(deadline ?? Deadline).TotalSeconds} s: {what}");
            await Task.Delay(TimeSpan.FromMilliseconds(20));
        }
    }
}
