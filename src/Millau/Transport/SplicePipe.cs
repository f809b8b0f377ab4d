namespace Millau.Transport;

/// <summary>
/// A pipe that carries bytes from one socket to another inside the kernel: its pages change hands, nothing is copied through
/// this process. Owns its two descriptors. One user at a time.
/// </summary>
/// <remarks>
/// It is filled only when it is empty. A pipe may be full with far fewer bytes than it holds at best, as each piece of a packet
/// takes a place of its own; so of one that is not empty nobody could tell whether the kernel refuses for want of room or
/// of bytes.
/// </remarks>
internal sealed class SplicePipe : IDisposable
{
    private readonly int _readEnd;
    private readonly int _writeEnd;
    private bool _disposed;

    private SplicePipe(int readEnd, int writeEnd, int capacity) =>
        (_readEnd, _writeEnd, Capacity) = (readEnd, writeEnd, capacity);

    /// <summary>What it holds in whole pages, in bytes. Pages of a socket may be larger, or not be full.</summary>
    public int Capacity { get; }

    /// <summary>Bytes that are in it.</summary>
    public int Count { get; private set; }

    /// <summary>A new one; null if there is none to be had.</summary>
    /// <param name="capacity">In bytes. The kernel's usual size if that is more than it allows.</param>
    public static SplicePipe? TryCreate(int capacity) =>
        Native.CreatePipe(out var readEnd, out var writeEnd)
            ? new SplicePipe(readEnd, writeEnd, Native.SetPipeCapacity(writeEnd, capacity))
            : null;

    /// <summary>Takes from a socket that does not block: bytes, 0 for the end, or the negative error number.</summary>
    /// <exception cref="InvalidOperationException">It is not empty.</exception>
    public int Fill(int socket, int most)
    {
        if (Count > 0) throw new InvalidOperationException("The pipe is not empty.");
        var moved = Native.Splice(socket, _writeEnd, most);
        if (moved > 0) Count = moved;
        return moved;
    }

    /// <summary>Gives to a socket that does not block what it takes: bytes, or the negative error number.</summary>
    /// <exception cref="InvalidOperationException">It is empty.</exception>
    public int Drain(int socket)
    {
        if (Count == 0) throw new InvalidOperationException("The pipe is empty.");
        var moved = Native.Splice(_readEnd, socket, Count);
        if (moved > 0) Count -= moved;
        return moved;
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Native.Close(_readEnd);
        Native.Close(_writeEnd);
    }
}
