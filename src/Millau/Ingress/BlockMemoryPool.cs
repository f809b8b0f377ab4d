using System.Buffers;
using System.Runtime.InteropServices;
using Millau.Memory;

namespace Millau.Ingress;

/// <summary>
/// The buffers of clients' connections: last in, first out, so that the block used next is the one still in the processor's cache.
/// </summary>
/// <param name="blockSize">Size of each block in bytes.</param>
/// <param name="ledger">Told of each.</param>
internal sealed class BlockMemoryPool(int blockSize, BufferLedger ledger) : MemoryPool<byte>
{
    /// <summary>Bytes that are kept for later; what a burst needed beyond this is given back to the collector.</summary>
    public const int MostFree = 8 * 1024 * 1024;

    private readonly Lock _lock = new();
    private readonly Block[] _free = new Block[MostFree / blockSize];
    private int _count;

    public override int MaxBufferSize => blockSize;

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, blockSize);
        var block = TakeFree();
        if (block is null) block = new Block(this, blockSize);
        else BufferLedger.Unchanged(block.Memory.Span);
        ledger.Rented(block);
        return block;
    }

    protected override void Dispose(bool disposing)
    {
        // Blocks are ordinary memory; those still rented come back to a pool that nobody rents from.
    }

    private Block? TakeFree()
    {
        lock (_lock)
        {
            return _count > 0 ? _free[--_count] : null;
        }
    }

    private void Return(Block block)
    {
        ledger.Returned(block, block.Memory.Span);
        lock (_lock)
        {
            if (_count < _free.Length) _free[_count++] = block;
        }
    }

    // Pinned for good: the kernel reads and writes it while the collector may run.
    private sealed class Block(BlockMemoryPool pool, int size) : IMemoryOwner<byte>
    {
        public Memory<byte> Memory { get; } = MemoryMarshal.CreateFromPinnedArray(
            GC.AllocateUninitializedArray<byte>(size, pinned: true), 0, size);

        public void Dispose() => pool.Return(this);
    }
}
