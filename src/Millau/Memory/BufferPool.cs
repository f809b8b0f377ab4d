using System.Buffers;

namespace Millau.Memory;

/// <summary>
/// Where arrays for bytes on their way are rented: each is returned once, or left to the collector with
/// <see cref="Abandon"/> by who cannot know that nobody writes to it any more. DEBUG builds keep account of that.
/// </summary>
/// <param name="arrays">Where they come from. May give out more than was asked for.</param>
/// <param name="ledger">Told of each.</param>
internal sealed class BufferPool(ArrayPool<byte> arrays, BufferLedger ledger)
{
    /// <summary>For what has no pool of its own: the framework's, which keeps some of each size for each core.</summary>
    public static BufferPool Shared { get; } = new(ArrayPool<byte>.Shared, BufferLedger.Shared);

    /// <param name="length">The least that is needed, in bytes.</param>
    public byte[] Rent(int length)
    {
        var buffer = arrays.Rent(length);
        ledger.Rented(buffer);
        return buffer;
    }

    public void Return(byte[] buffer)
    {
        ledger.Returned(buffer, buffer);
        arrays.Return(buffer);
    }

    /// <summary>In place of <see cref="Return"/> where a call that is still under way may write to the buffer.</summary>
    public void Abandon(byte[] buffer) => ledger.Abandon(buffer);
}
