namespace Millau.Http2;

/// <summary>
/// What the peer may send of DATA (RFC 9113 section 6.9), on a stream or on the connection. What was passed on is given back in
/// portions of half the window, so that the peer never stands still and few frames say so.
/// </summary>
/// <param name="size">Bytes; what the peer was told.</param>
internal struct ReceiveWindow(int size)
{
    private readonly int _half = Math.Max(1, size / 2);
    private int _released;

    /// <summary>Bytes that the peer may still send.</summary>
    public int Available { get; private set; } = size;

    /// <summary>Counts a whole DATA payload, padding included.</summary>
    /// <returns>False if it exceeds the window: a FlowControlError.</returns>
    public bool TryReceive(int bytes)
    {
        if (bytes > Available) return false;
        Available -= bytes;
        return true;
    }

    /// <summary>Bytes that were received need no room any more.</summary>
    /// <returns>The increment of a WINDOW_UPDATE that must be sent now, or 0.</returns>
    public int Release(int bytes)
    {
        _released += bytes;
        // Half a window at a time; but when little is left to send, what is free is given at once: the rest may be held by who does not
        // take it for long.
        if (_released < Math.Min(_half, Available)) return 0;
        var increment = _released;
        _released = 0;
        Available += increment;
        return increment;
    }
}
