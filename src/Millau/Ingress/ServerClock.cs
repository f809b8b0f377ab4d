using System.Globalization;
using System.Text;

namespace Millau.Ingress;

/// <summary>
/// One timer for all connections of a server: timeouts and the <c>Date</c> field cost a request no look at a clock.
/// Times are met up to a second late.
/// </summary>
internal sealed class ServerClock : IDisposable
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly Action<long> _tick;
    private readonly ITimer _timer;
    private long _now;
    private byte[] _date = [];
    private int _beating;

    /// <param name="time">The clock.</param>
    /// <param name="tick">Called each second, one call at a time and not again before it returns, with the milliseconds of <see cref="Now"/>.</param>
    public ServerClock(TimeProvider time, Action<long> tick)
    {
        _time = time;
        _tick = tick;
        Read();
        _timer = time.CreateTimer(static state => ((ServerClock)state!).OnBeat(), this, Beat, Beat);
    }

    /// <summary>Milliseconds of a clock that only goes forward, as of the last beat.</summary>
    public long Now => Volatile.Read(ref _now);

    /// <summary>The value of a <c>Date</c> field (RFC 9110 section 5.6.7).</summary>
    public ReadOnlySpan<byte> Date => Volatile.Read(ref _date);

    public void Dispose() => _timer.Dispose();

    private void OnBeat()
    {
        Read();
        // A beat that takes longer than the time to the next one has it left out.
        if (Interlocked.Exchange(ref _beating, 1) != 0) return;
        try
        {
            _tick(Now);
        }
        finally
        {
            Volatile.Write(ref _beating, 0);
        }
    }

    private void Read()
    {
        Volatile.Write(ref _now, _time.GetTimestamp() / (_time.TimestampFrequency / 1000));
        Volatile.Write(ref _date, Encoding.ASCII.GetBytes(_time.GetUtcNow().ToString("r", CultureInfo.InvariantCulture)));
    }
}
