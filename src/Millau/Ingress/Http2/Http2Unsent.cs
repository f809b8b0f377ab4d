using System.Buffers;

namespace Millau.Ingress.Http2;

/// <summary>Bytes of an answer's body that are not sent yet, in blocks of a pool; none is held while there are no bytes.</summary>
/// <remarks>Concurrency: of whoever writes the answer until it is handed over to be sent, and of whoever sends it until all is sent.</remarks>
internal struct Http2Unsent(MemoryPool<byte> pool)
{
    private Block[] _blocks = [];
    private int _first;
    private int _count;

    /// <summary>Bytes.</summary>
    public int Length { get; private set; }

    /// <summary>Where the next ones may be put: at least so many, at most a block.</summary>
    public Memory<byte> GetMemory(int atLeast)
    {
        if (_count > 0 && _blocks[_count - 1] is var last && last.Owner.Memory.Length - last.End >= Math.Max(1, atLeast))
            return last.Owner.Memory[last.End..];
        if (_count == _blocks.Length) Array.Resize(ref _blocks, Math.Max(2, 2 * _count));
        _blocks[_count++] = new Block { Owner = pool.Rent(Math.Max(1, atLeast)) };
        return _blocks[_count - 1].Owner.Memory;
    }

    /// <summary>So many were put there.</summary>
    public void Advance(int count)
    {
        if (count == 0) return;
        _blocks[_count - 1].End += count;
        Length += count;
    }

    /// <summary>Adds a copy.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var memory = GetMemory(1);
            var count = Math.Min(memory.Length, bytes.Length);
            bytes[..count].CopyTo(memory.Span);
            Advance(count);
            bytes = bytes[count..];
        }
    }

    /// <summary>Gives the first bytes to a writer.</summary>
    /// <param name="writer">Gets them.</param>
    /// <param name="count">At most <see cref="Length"/>.</param>
    public void MoveTo(IBufferWriter<byte> writer, int count)
    {
        Length -= count;
        while (count > 0)
        {
            ref var block = ref _blocks[_first];
            var taken = Math.Min(count, block.End - block.Start);
            writer.Write(block.Owner.Memory.Span.Slice(block.Start, taken));
            block.Start += taken;
            count -= taken;
            if (block.Start < block.End) continue;
            block.Owner.Dispose();
            block = default;
            _first++;
        }
        if (Length == 0) Release();
    }

    /// <summary>Drops what is there. Idempotent.</summary>
    public void Release()
    {
        for (var i = _first; i < _count; i++)
        {
            _blocks[i].Owner.Dispose();
            _blocks[i] = default;
        }
        _first = _count = Length = 0;
    }

    private struct Block
    {
        public IMemoryOwner<byte> Owner;
        public int Start;
        public int End;
    }
}
