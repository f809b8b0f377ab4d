using System.Buffers;
using System.Runtime.InteropServices;

namespace Millau.Transport;

/// <summary>One block of received bytes, and the one after it.</summary>
internal sealed class ReceivedSegment : ReadOnlySequenceSegment<byte>
{
    private IMemoryOwner<byte>? _block;

    /// <summary>Bytes in it.</summary>
    public int End { get; set; }

    /// <summary>Where more may be received.</summary>
    public Memory<byte> Free => MemoryMarshal.AsMemory(Memory)[End..];

    public ReceivedSegment? Following => (ReceivedSegment?)Next;

    /// <summary>Takes over a block, empty.</summary>
    public void Begin(IMemoryOwner<byte> block, ReceivedSegment? before)
    {
        _block = block;
        Memory = block.Memory;
        End = 0;
        RunningIndex = 0;
        if (before is null) return;
        // What is full ends where its bytes end; only the last may grow.
        before.Memory = before.Memory[..before.End];
        before.Next = this;
        RunningIndex = before.RunningIndex + before.End;
    }

    /// <summary>Gives the block back.</summary>
    public void Release()
    {
        _block?.Dispose();
        _block = null;
        Memory = default;
        Next = null;
    }
}
