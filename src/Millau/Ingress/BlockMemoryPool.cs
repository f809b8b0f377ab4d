using System.Buffers;
using System.Runtime.InteropServices;
using Millau.Memory;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>
/// The buffers of clients' connections: last in, first out, so that the block used next is the one still in the processor's cache.
/// Each event loop has a shelf of its own for some; what does not fit there, and what other threads give back, is shared.
/// </summary>
internal sealed class BlockMemoryPool : MemoryPool<byte>
{
    /// <summary>Bytes that are kept for later, shelves included; what a burst needed beyond this is given back to the collector.</summary>
    public const int MostFree = 8 * 1024 * 1024;

    // All loops together have half of it.
    private static readonly int Shares = 2 * Environment.ProcessorCount;

    private readonly int _blockSize;
    private readonly BufferLedger _ledger;
    private readonly Shelves _shelves;
    private readonly Lock _lock = new();
    private readonly Stack _shared;

    /// <param name="blockSize">Size of each block in bytes.</param>
    /// <param name="ledger">Told of each.</param>
    public BlockMemoryPool(int blockSize, BufferLedger ledger)
    {
        _blockSize = blockSize;
        _ledger = ledger;
        _shared = new Stack(MostFree / blockSize);
        _shelves = new Shelves(this);
    }

    public override int MaxBufferSize => _blockSize;

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, _blockSize);
        var block = _shelves.Own?.Pop() ?? TakeShared();
        if (block is null) block = new Block(this, _blockSize);
        else BufferLedger.Unchanged(block.Memory.Span);
        _ledger.Rented(block);
        return block;
    }

    protected override void Dispose(bool disposing)
    {
        // Blocks are ordinary memory; those still rented come back to a pool that nobody rents from.
    }

    private Block? TakeShared()
    {
        lock (_lock) return _shared.Pop();
    }

    private void Return(Block block)
    {
        _ledger.Returned(block, block.Memory.Span);
        if (_shelves.Own is { } shelf && shelf.TryPush(block)) return;
        lock (_lock) _shared.TryPush(block);
    }

    private sealed class Shelves(BlockMemoryPool pool) : LoopLocal<Stack>
    {
        public Stack? Own => Of(EventLoop.Current);

        // Its room is taken from what is shared.
        protected override Stack Make()
        {
            var shelf = new Stack(Math.Max(1, pool._shared.Size / Shares));
            lock (pool._lock) pool._shared.Shrink(shelf.Size);
            return shelf;
        }
    }

    private sealed class Stack(int size)
    {
        private readonly Block[] _blocks = new Block[size];
        private int _room = size;
        private int _count;

        /// <summary>Blocks that it took at first.</summary>
        public int Size => _blocks.Length;

        public Block? Pop() => _count > 0 ? _blocks[--_count] : null;

        public bool TryPush(Block block)
        {
            if (_count >= _room) return false;
            _blocks[_count++] = block;
            return true;
        }

        /// <summary>Takes fewer from now on. What there is beyond that is the collector's.</summary>
        public void Shrink(int blocks)
        {
            _room = Math.Max(0, _room - blocks);
            _count = Math.Min(_count, _room);
            _blocks.AsSpan(_count).Clear();
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
