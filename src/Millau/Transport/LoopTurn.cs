namespace Millau.Transport;

/// <summary>
/// Lets the other sockets of a loop have their turn after some bytes, where one socket always has more: it would keep them waiting
/// for as long as it likes. One user at a time.
/// </summary>
internal sealed class LoopTurn
{
    // A millisecond or less of a processor's time.
    private const int MostBytes = 2 * 1024 * 1024;

    private readonly ReadinessWait _wait = new();
    private readonly Action _end;
    private long _bytes;

    public LoopTurn() => _end = _wait.End;

    /// <summary>So many bytes were moved without a wait. To be awaited at once.</summary>
    public ValueTask Moved(EventLoop loop, int bytes)
    {
        _bytes += bytes;
        if (_bytes < MostBytes || !loop.IsCurrent) return default;
        _bytes = 0;
        var pending = _wait.Begin();
        loop.AfterEvents(_end);
        return pending;
    }

    /// <summary>There was a wait, so they had it.</summary>
    public void Waited() => _bytes = 0;
}
