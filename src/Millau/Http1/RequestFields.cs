using System.Buffers;
using System.Text;
using Millau.Memory;

namespace Millau.Http1;

/// <summary>
/// The header fields of one request, as bytes in a buffer of their own: no string is made for a field that is only passed on.
/// Used again from request to request; owns a pooled buffer from the first byte until <see cref="Release"/>.
/// </summary>
internal sealed class RequestFields
{
    private static readonly BufferPool Buffers = HeadArrays.Pool;

    private byte[] _bytes = [];
    private int _length;
    private Field[] _fields = new Field[16];
    private ulong _present;

    public int Count { get; private set; }

    public ReadOnlySpan<Field> All => _fields.AsSpan(0, Count);

    /// <summary>What the places of the fields refer to.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, _length);

    /// <summary>Takes a copy of a parsed head, to whose bytes the fields that were added by place refer.</summary>
    public void Attach(ReadOnlySequence<byte> head)
    {
        _length = 0;
        var length = (int)head.Length;
        var place = Reserve(length);
        if (head.IsSingleSegment) head.FirstSpan.CopyTo(place);
        else head.CopyTo(place);
        _length = length;
    }

    /// <summary>Adds a field by its place in a head that <see cref="Attach"/> gets later.</summary>
    public void Add(in Field field)
    {
        if (Count == _fields.Length) Array.Resize(ref _fields, _fields.Length * 2);
        _fields[Count++] = field;
        _present |= 1UL << (int)field.Known;
    }

    /// <summary>Adds a field with a copy of its bytes.</summary>
    public void Add(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value) => Add(FieldNames.Of(name), name, value);

    /// <inheritdoc cref="Add(ReadOnlySpan{byte}, ReadOnlySpan{byte})"/>
    public void Add(FieldName known, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var place = _length;
        name.CopyTo(Reserve(name.Length + value.Length));
        value.CopyTo(_bytes.AsSpan(place + name.Length));
        _length += name.Length + value.Length;
        Add(new Field(known, IsPlain: false, place, name.Length, place + name.Length, value.Length));
    }

    public bool Has(FieldName field) => (_present & 1UL << (int)field) != 0;

    public int CountOf(FieldName field)
    {
        if (!Has(field)) return 0;
        var count = 0;
        foreach (var one in All)
            if (one.Known == field) count++;
        return count;
    }

    /// <summary>The value of the first such field; empty without one.</summary>
    public ReadOnlySpan<byte> First(FieldName field)
    {
        if (Has(field))
        {
            foreach (var one in All)
                if (one.Known == field) return one.Value(_bytes);
        }
        return default;
    }

    /// <summary>The same as a string of one character a byte; null without one.</summary>
    public string? Text(FieldName field) => Has(field) ? Encoding.Latin1.GetString(First(field)) : null;

    /// <summary>The values of all such fields, as strings.</summary>
    public List<string> Values(FieldName field)
    {
        var values = new List<string>();
        foreach (var one in All)
            if (one.Known == field) values.Add(Encoding.Latin1.GetString(one.Value(_bytes)));
        return values;
    }

    /// <summary>The values of all such fields as the one list that they mean (RFC 9110 section 5.3); empty without one.</summary>
    public string Joined(FieldName field) => Has(field) ? string.Join(',', Values(field)) : "";

    /// <summary>Whether the comma-separated list of such fields names something, compared without case.</summary>
    public bool Lists(FieldName field, ReadOnlySpan<byte> member)
    {
        if (!Has(field)) return false;
        foreach (var one in All)
            if (one.Known == field && HeaderRules.Names(one.Value(_bytes), member)) return true;
        return false;
    }

    /// <summary>Forgets the fields and gives the buffer back. Idempotent.</summary>
    public void Release()
    {
        Count = _length = 0;
        _present = 0;
        if (_bytes.Length == 0) return;
        Buffers.Return(_bytes);
        _bytes = [];
    }

    private Span<byte> Reserve(int count)
    {
        var needed = _length + count;
        if (needed > _bytes.Length)
        {
            var larger = Buffers.Rent(Math.Max(HeadArrays.UsualLength, Math.Max(needed, _bytes.Length * 2)));
            _bytes.AsSpan(0, _length).CopyTo(larger);
            if (_bytes.Length > 0) Buffers.Return(_bytes);
            _bytes = larger;
        }
        return _bytes.AsSpan(_length);
    }
}
