using Millau.Memory;

namespace Millau.Ingress.Http2;

/// <summary>
/// A header block that comes in several frames, HEADERS and CONTINUATION (RFC 9113 section 4.3), joined. Bounded in bytes and in
/// frames; holds a pooled buffer while it is incomplete.
/// </summary>
internal struct Http2Fragments()
{
    private byte[] _bytes = [];
    private int _length;
    private int _frames;

    /// <summary>Whose block it is; 0 if none is incomplete.</summary>
    public int Stream { get; private set; }

    /// <summary>The client ends its side with it.</summary>
    public bool EndsStream { get; private set; }

    /// <summary>The stream is to be reset.</summary>
    public bool IsMalformed { get; private set; }

    public readonly ReadOnlySpan<byte> Block => _bytes.AsSpan(0, _length);

    public void Begin(int stream, bool endsStream, bool isMalformed)
    {
        Stream = stream;
        EndsStream = endsStream;
        IsMalformed = isMalformed;
        _length = _frames = 0;
    }

    /// <summary>Adds a frame's share. False if there is more of it than may be.</summary>
    public bool TryAdd(ReadOnlySpan<byte> fragment)
    {
        var length = _length + fragment.Length;
        if (++_frames > Http2Limits.HeaderFrames || length > Http2Limits.HeaderBlock) return false;
        if (length > _bytes.Length)
        {
            var larger = BufferPool.Shared.Rent(Math.Max(length, 2 * _bytes.Length));
            Block.CopyTo(larger);
            if (_bytes.Length > 0) BufferPool.Shared.Return(_bytes);
            _bytes = larger;
        }
        fragment.CopyTo(_bytes.AsSpan(_length));
        _length = length;
        return true;
    }

    /// <summary>Forgets the block. Idempotent.</summary>
    public void Release()
    {
        Stream = _length = 0;
        if (_bytes.Length == 0) return;
        BufferPool.Shared.Return(_bytes);
        _bytes = [];
    }
}
