namespace Millau.Http2;

/// <summary>
/// Reads the fields of one header block (RFC 7541) strictly. Each must be read, also when the caller has no use for it any more,
/// because any may change the dynamic table. What <see cref="Error"/> names ends the connection.
/// </summary>
internal ref struct HpackReader
{
    /// <summary>
    /// Where a block is given up, in bytes of <see cref="ListSize"/>: far beyond what a caller takes, so that it can answer, and short of
    /// what a few bytes that name large entries again and again could cost.
    /// </summary>
    public const int MaxListSize = 1024 * 1024;

    private readonly HpackDecoder _decoder;
    private readonly HpackTable _table;
    private ReadOnlySpan<byte> _rest;
    private bool _fieldSeen;

    internal HpackReader(HpackDecoder decoder, ReadOnlySpan<byte> block)
    {
        _decoder = decoder;
        _table = decoder.Table;
        _rest = block;
    }

    /// <summary>
    /// Size of the fields so far as SETTINGS_MAX_HEADER_LIST_SIZE counts it: their bytes and 32 for each (RFC 9113 section 6.5.2).
    /// </summary>
    public int ListSize { get; private set; }

    /// <summary>
    /// After <see cref="TryNext"/> returned false: NoError at the end of the block, else CompressionError, or EnhanceYourCalm beyond
    /// <see cref="MaxListSize"/>.
    /// </summary>
    public ErrorCode Error { get; private set; }

    /// <summary>The next field.</summary>
    /// <param name="known">
    /// Which well-known name it is, however it was sent: a literal <c>host</c> is as good as index 38. None for all others.
    /// </param>
    /// <param name="name">The name as it was sent, not checked. Holds until the next call, as the value does.</param>
    /// <param name="value">The value as it was sent, not checked.</param>
    /// <returns>False at the end of the block or at an error; see <see cref="Error"/>.</returns>
    public bool TryNext(out StaticName known, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        known = StaticName.None;
        name = value = default;
        if (Error == ErrorCode.NoError)
        {
            if (!TrySizeUpdates()) return Fail(ErrorCode.CompressionError);
            if (!_rest.IsEmpty)
            {
                _fieldSeen = true;
                if (!TryField(out known, out name, out value)) return Fail(ErrorCode.CompressionError);
                ListSize += name.Length + value.Length + HpackTable.Overhead;
                return ListSize <= MaxListSize || Fail(ErrorCode.EnhanceYourCalm);
            }
        }
        _decoder.Trim();
        return false;
    }

    private bool Fail(ErrorCode error)
    {
        Error = error;
        _decoder.Trim();
        return false;
    }

    // RFC 7541 section 4.2: only before the first field, and never more than was announced.
    private bool TrySizeUpdates()
    {
        while (!_rest.IsEmpty && (_rest[0] & 0xe0) == 0x20)
        {
            if (_fieldSeen || !TryInteger(5, out var size) || size > HpackTable.Capacity) return false;
            _table.Resize(size);
        }
        return true;
    }

    private bool TryField(out StaticName known, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        var first = _rest[0];
        if ((first & 0x80) != 0)
        {
            known = StaticName.None;
            name = value = default;
            return TryInteger(7, out var index) && TryEntry(index, out known, out name, out value);
        }
        // Without indexing and never indexed are the same to one that encodes anew.
        var indexed = (first & 0x40) != 0;
        if (!TryLiteral(indexed ? 6 : 4, out known, out name, out value)) return false;
        // A name of the table may lose its place there: the field is read from the entry then.
        if (indexed && _table.Add(known, name, value)) _table.Get(0, out known, out name, out value);
        return true;
    }

    private bool TryLiteral(int prefix, out StaticName known, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        known = StaticName.None;
        name = value = default;
        if (!TryInteger(prefix, out var index)) return false;
        if (index != 0) return TryEntry(index, out known, out name, out _) && TryString(0, out value, out _);
        if (!TryString(0, out name, out var used) || !TryString(used, out value, out _)) return false;
        known = StaticTable.Find(name);
        return true;
    }

    private readonly bool TryEntry(int index, out StaticName known, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        if (index is > 0 and <= StaticTable.Count)
        {
            known = StaticTable.NameOf(index);
            name = StaticTable.Bytes(known);
            value = StaticTable.Value(index);
            return true;
        }
        known = StaticName.None;
        name = value = default;
        var age = index - StaticTable.Count - 1;
        if (age < 0 || age >= _table.Count) return false;
        _table.Get(age, out known, out name, out value);
        return true;
    }

    // Section 5.2. A decoded string goes behind those that are in the scratch already.
    private bool TryString(int scratchUsed, out ReadOnlySpan<byte> text, out int scratchLength)
    {
        text = default;
        scratchLength = 0;
        if (_rest.IsEmpty) return false;
        var huffman = (_rest[0] & 0x80) != 0;
        if (!TryInteger(7, out var length) || length > _rest.Length) return false;
        var raw = _rest[..length];
        _rest = _rest[length..];
        if (!huffman)
        {
            text = raw;
            return true;
        }
        // When this makes a new one, the strings before stay where they are.
        var scratch = _decoder.Scratch(scratchUsed + HuffmanCode.MaxDecodedLength(length))[scratchUsed..];
        if (!HuffmanCode.TryDecode(raw, scratch, out scratchLength)) return false;
        text = scratch[..scratchLength];
        return true;
    }

    // Section 5.1. Four bytes behind the prefix count to 2^28 and more, which is beyond all that is of use; longer ones, also
    // those that only have zeros, are refused.
    private bool TryInteger(int prefix, out int value)
    {
        var max = (1 << prefix) - 1;
        value = _rest[0] & max;
        _rest = _rest[1..];
        if (value < max) return true;
        for (var shift = 0; shift < 28; shift += 7)
        {
            if (_rest.IsEmpty) return false;
            var next = _rest[0];
            _rest = _rest[1..];
            value += (next & 0x7f) << shift;
            if (next < 0x80) return true;
        }
        return false;
    }
}
