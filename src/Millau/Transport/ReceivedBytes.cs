using System.Buffers;
using System.IO.Pipelines;

namespace Millau.Transport;

/// <summary>
/// What a <see cref="PipeReader"/> has received and its user has not consumed, in blocks of a pool. While there is nothing, no block
/// is held. A mutable value: to be a field, and not copied.
/// </summary>
/// <param name="pool">Where the blocks come from, and go back to.</param>
internal struct ReceivedBytes(MemoryPool<byte> pool)
{
    private ReceivedSegment? _first;
    private ReceivedSegment? _last;
    private ReceivedSegment? _spare;
    private int _start;
    private bool _isRoomOut;

    /// <summary>Nothing is here that the user has not seen: it waits for more.</summary>
    public bool AllExamined { get; private set; } = true;

    public readonly bool IsEmpty => _first is null;

    public readonly ReadOnlySequence<byte> All =>
        _first is null ? ReadOnlySequence<byte>.Empty : new(_first, _start, _last!, _last!.End);

    /// <summary>Bytes that there is room for in the last block.</summary>
    public readonly int Room => _last?.Free.Length ?? 0;

    /// <summary>
    /// Where more may be put; a new block if the last has too little room. <see cref="Add"/> is to follow: until then the block stays,
    /// though all that is in it be consumed.
    /// </summary>
    /// <param name="least">Bytes; no more than a block has.</param>
    public Memory<byte> GetRoom(int least)
    {
        if (_last is null || _last.Free.Length < least) AddSegment();
        _isRoomOut = true;
        return _last!.Free;
    }

    /// <summary>So many bytes were put there; for none, nothing has changed.</summary>
    public void Add(int count)
    {
        _isRoomOut = false;
        _last!.End += count;
        if (count > 0) AllExamined = false;
        else DropEmpty();
    }

    /// <summary>As <see cref="PipeReader.AdvanceTo(SequencePosition, SequencePosition)"/>; returns how many bytes were consumed.</summary>
    public int AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        if (_first is null || _last is null || consumed.GetObject() is not ReceivedSegment segment) return 0;
        var count = (int)(segment.RunningIndex + consumed.GetInteger() - _first.RunningIndex - _start);
        while (_first != segment) DropFirst();
        _start = consumed.GetInteger();
        AllExamined = examined.GetObject() == _last && examined.GetInteger() == _last.End;
        DropEmpty();
        return count;
    }

    /// <summary>Gives all back; returns how many bytes it was.</summary>
    public int Clear()
    {
        var count = 0;
        while (_first is not null)
        {
            count += _first.End - _start;
            DropFirst();
        }
        AllExamined = true;
        _isRoomOut = false;
        return count;
    }

    // Nothing is left: an idle connection holds no buffer.
    private void DropEmpty()
    {
        if (_first != _last || _start != _last!.End || _isRoomOut) return;
        DropFirst();
        AllExamined = true;
    }

    private void AddSegment()
    {
        var segment = _spare ?? new ReceivedSegment();
        _spare = null;
        segment.Begin(pool.Rent(), _last);
        _last = segment;
        if (_first is not null) return;
        _first = segment;
        _start = 0;
    }

    private void DropFirst()
    {
        var segment = _first!;
        _first = segment.Following;
        _start = 0;
        if (_first is null) _last = null;
        segment.Release();
        _spare = segment;
    }
}
