using System.Buffers.Binary;
using System.Text;
using Millau.Memory;

namespace Millau.Ingress.Http2;

/// <summary>
/// The fields of an answer while they are gathered. They are encoded all at once, since blocks have to be sent in the order in which
/// they are encoded. Holds a pooled buffer from the first field to <see cref="Release"/>.
/// </summary>
internal sealed class Http2AnswerHead
{
    private const int FirstSize = 512;
    private const int Prefix = 8;

    private byte[] _bytes = [];
    private int _length;

    /// <summary>Of the head that is being written.</summary>
    public int Status { get; private set; }

    /// <summary>One of the fields is <c>Date</c>.</summary>
    public bool HasDate { get; private set; }

    /// <summary>How many fields there are.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes of the fields, and a few for each.</summary>
    public int Length => _length;

    public void Begin(int status)
    {
        Status = status;
        HasDate = false;
        Count = _length = 0;
    }

    public void Add(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var needed = _length + Prefix + name.Length + value.Length;
        if (needed > _bytes.Length) Grow(needed);
        var field = _bytes.AsSpan(_length);
        BinaryPrimitives.WriteInt32LittleEndian(field, name.Length);
        BinaryPrimitives.WriteInt32LittleEndian(field[4..], value.Length);
        name.CopyTo(field[Prefix..]);
        value.CopyTo(field[(Prefix + name.Length)..]);
        _length = needed;
        Count++;
        HasDate |= name.Length == 4 && Ascii.EqualsIgnoreCase(name, "date"u8);
    }

    /// <summary>The field at a place, 0 at first, which becomes that of the next one. False at the end.</summary>
    public bool TryNext(ref int place, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        name = value = default;
        if (place == _length) return false;
        var field = _bytes.AsSpan(place);
        var nameLength = BinaryPrimitives.ReadInt32LittleEndian(field);
        var valueLength = BinaryPrimitives.ReadInt32LittleEndian(field[4..]);
        name = field.Slice(Prefix, nameLength);
        value = field.Slice(Prefix + nameLength, valueLength);
        place += Prefix + nameLength + valueLength;
        return true;
    }

    /// <summary>Gives the buffer back. Idempotent.</summary>
    public void Release()
    {
        Count = _length = 0;
        if (_bytes.Length == 0) return;
        BufferPool.Shared.Return(_bytes);
        _bytes = [];
    }

    private void Grow(int needed)
    {
        var larger = BufferPool.Shared.Rent(Math.Max(FirstSize, Math.Max(needed, 2 * _bytes.Length)));
        _bytes.AsSpan(0, _length).CopyTo(larger);
        if (_bytes.Length > 0) BufferPool.Shared.Return(_bytes);
        _bytes = larger;
    }
}
