using Microsoft.AspNetCore.Connections;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>
/// Cuts a client that does not take what it asked for, or takes it so slowly that it looks like an attack: it would hold an
/// instance, and memory, for as long as it likes.
/// </summary>
/// <remarks>Concurrency: one flush at a time; <see cref="Tick"/> by the heartbeat.</remarks>
internal sealed class SlowReader(ConnectionContext connection, TimeSpan patience, ServerClock clock)
{
    /// <summary>Bytes a second that a client takes at least.</summary>
    public const int SlowestRate = 240;

    // In milliseconds.
    private const long MostCredit = 10_000;

    private readonly LoopSocket? _socket = connection.Features.Get<LoopConnection>()?.RawSocket;
    private readonly long _patience = (long)patience.TotalMilliseconds;
    private readonly Deadline _deadline = new();
    private long _taken;
    private long _due;

    /// <summary>A flush is not over at once.</summary>
    /// <param name="bytes">So much is to be taken; without event loops nobody tells how much of it is.</param>
    public void Begin(long bytes)
    {
        if (_socket is null) _deadline.Set(clock.Now + _patience + bytes * 1000 / SlowestRate);
    }

    /// <summary>It is over.</summary>
    public void End()
    {
        if (_socket is null) _deadline.TryClear();
    }

    /// <summary>A second has passed.</summary>
    public void Tick(long now)
    {
        if (_socket is null ? _deadline.TryPass(now) : IsTooSlow(_socket, now))
            connection.Abort(new ConnectionAbortedException("The client reads too slowly."));
    }

    // What the client has taken buys it time: a large buffer of its own is emptied long before it asks for more.
    private bool IsTooSlow(LoopSocket socket, long now)
    {
        if (!socket.IsRoomAwaited)
        {
            // Nearly all connections, nearly always: the kernel is not asked how much of it has arrived.
            _taken = socket.SentBytes;
            _due = now + _patience;
            return false;
        }
        var taken = socket.TakenBytes - _taken;
        _taken += taken;
        if (_due == 0) _due = now + _patience;
        if (taken > 0) _due = Math.Max(_due, now + _patience + Math.Min(MostCredit, taken * 1000 / SlowestRate));
        return now >= _due;
    }
}
