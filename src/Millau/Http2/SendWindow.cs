namespace Millau.Http2;

/// <summary>What this side may send of DATA (RFC 9113 section 6.9), on a stream or on the connection.</summary>
/// <param name="size">Bytes at first.</param>
internal struct SendWindow(int size)
{
    /// <summary>Size in bytes of a window of which nothing was said.</summary>
    public const int Default = 65_535;

    /// <summary>Bytes that may be sent now; below zero after the peer made its initial window smaller.</summary>
    public int Available { get; private set; } = size;

    /// <summary>Counts what is sent, padding included: at most <see cref="Available"/> bytes.</summary>
    public void Consume(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, Math.Max(0, Available));
        Available -= bytes;
    }

    /// <summary>A WINDOW_UPDATE.</summary>
    /// <returns>False if the window exceeds 2^31-1 then: a FlowControlError of the stream or of the connection.</returns>
    public bool TryIncrease(int increment) => TryAdd(increment);

    /// <summary>
    /// SETTINGS_INITIAL_WINDOW_SIZE has changed by <paramref name="difference"/>: each stream's window does, the connection's does not
    /// (section 6.9.2).
    /// </summary>
    /// <returns>False if the window exceeds 2^31-1 then: a FlowControlError of the connection.</returns>
    public bool TryAdjust(int difference) => TryAdd(difference);

    private bool TryAdd(int bytes)
    {
        var sum = (long)Available + bytes;
        if (sum is > int.MaxValue or < int.MinValue) return false;
        Available = (int)sum;
        return true;
    }
}
