namespace Millau.Transport;

/// <summary>
/// The number of an open socket. It is closed when nobody uses it any more, so that no call gets one that another socket has by then.
/// A field of its one owner, who closes it; never copied.
/// </summary>
/// <param name="number">Open, and owned from now on.</param>
internal struct Descriptor(int number)
{
    private const int Closed = int.MinValue;

    // How many calls are under way; below 0 from the moment of the close.
    private int _users;

    public bool IsClosed => Volatile.Read(ref _users) < 0;

    /// <summary>
    /// Keeps it open for a call, which must not block, and which <see cref="Release"/> follows. A full fence. False once it was closed.
    /// </summary>
    public bool TryHold(out int held)
    {
        held = number;
        for (var users = Volatile.Read(ref _users); users >= 0;)
        {
            var before = Interlocked.CompareExchange(ref _users, users + 1, users);
            if (before == users) return true;
            users = before;
        }
        return false;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _users) == Closed) Native.Close(number);
    }

    /// <summary>Closes it, after the calls that are under way. False if somebody else did so.</summary>
    public bool Close()
    {
        var before = Interlocked.Or(ref _users, Closed);
        if (before == 0) Native.Close(number);
        return before >= 0;
    }
}
