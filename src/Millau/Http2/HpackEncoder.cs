using System.Text;

namespace Millau.Http2;

/// <summary>
/// Writes the header blocks of one connection (RFC 7541) into spans of the caller. Values stay as they are: Huffman coding costs more
/// time than its bytes are worth. What is written has to be sent, in that order, because the peer's dynamic table follows it.
/// </summary>
/// <remarks>
/// A field enters the dynamic table when it is seen for the second time, so that what recurs (server, content-type, via) becomes one
/// byte and what is new each time evicts nothing. Not even looked at are fields known to change from response to response; date is
/// one of them, since it would evict others each second and copying it costs less than looking it up.
/// </remarks>
internal sealed class HpackEncoder
{
    /// <summary>Most bytes that a field takes besides its name and its value, size updates before it included.</summary>
    public const int MaxOverhead = 18;

    // Longer ones fill the table, and rarely recur.
    private const int MaxIndexedLength = 128;

    private const byte Indexed = 0x80, WithIndexing = 0x40, SizeUpdate = 0x20, NeverIndexed = 0x10, WithoutIndexing = 0x00;

    private static readonly ulong Changing = Mask(
        StaticName.Age, StaticName.ContentLength, StaticName.ContentRange, StaticName.Date, StaticName.ETag, StaticName.Expires,
        StaticName.LastModified, StaticName.Location);

    // RFC 7541 section 7.1.3: guesses at these are not to be confirmed by the length of a block, here or behind the peer.
    private static readonly ulong Secret = Mask(
        StaticName.Authorization, StaticName.ProxyAuthorization, StaticName.Cookie, StaticName.SetCookie);

    private readonly HpackTable _table = new();

    // The hash of the entry in each slot of the table, also of those that are gone, and of fields lately seen.
    private readonly int[] _hashes = new int[HpackTable.MaxCount];
    private readonly int[] _seen = new int[64];
    private int _slots;

    // What the peer knows of the size of the table, and the smallest that it had since.
    private int _announcedSize = HpackTable.Capacity;
    private int _smallestSize = HpackTable.Capacity;

    /// <summary>
    /// The peer's SETTINGS_HEADER_TABLE_SIZE, in bytes. Between two blocks only: the next one says what becomes of it.
    /// </summary>
    public void SetPeerTableSize(uint size)
    {
        _table.Resize((int)Math.Min(size, HpackTable.Capacity));
        _smallestSize = Math.Min(_smallestSize, _table.MaxSize);
    }

    /// <summary>Writes <c>:status</c>, 100 to 999, which comes before all other fields.</summary>
    /// <returns>False if there may not be room for it; nothing is done then. <see cref="MaxOverhead"/> and 3 bytes are enough.</returns>
    public bool TryWriteStatus(Span<byte> destination, int status, out int written)
    {
        var index = StaticTable.StatusIndex(status);
        if (index == 0)
            return TryWriteField(destination, StaticName.Status, [(byte)('0' + status / 100), (byte)('0' + status / 10 % 10), (byte)('0' + status % 10)], out written);
        written = 0;
        if (destination.Length < MaxOverhead) return false;
        written = WriteSizeUpdates(destination);
        destination[written++] = (byte)(Indexed | index);
        return true;
    }

    /// <summary>Writes a field.</summary>
    /// <param name="destination">Name, value and <see cref="MaxOverhead"/> bytes are enough.</param>
    /// <param name="name">A token (ASCII), in any case; written in lower case.</param>
    /// <param name="value">Written as it is.</param>
    /// <param name="written">Bytes written.</param>
    /// <returns>False if there may not be room for it; nothing is done then.</returns>
    public bool TryWriteField(Span<byte> destination, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, out int written)
    {
        written = 0;
        if (destination.Length < name.Length + value.Length + MaxOverhead) return false;
        written = WriteSizeUpdates(destination);
        // Put where it stands in a literal, behind the first byte and its length: written over where an index stands for it.
        var field = destination[written..];
        var nameStart = 1 + WriteInteger(field[1..], 0, 7, name.Length);
        var lower = field.Slice(nameStart, name.Length);
        Ascii.ToLower(name, lower, out var lowered);
        if (lowered != name.Length) throw new ArgumentException("no token", nameof(name));
        written += Write(field, StaticTable.Find(lower), lower, nameStart + name.Length, value);
        return true;
    }

    /// <summary>Writes a field of a well-known name, not None.</summary>
    /// <inheritdoc cref="TryWriteField(Span{byte}, ReadOnlySpan{byte}, ReadOnlySpan{byte}, out int)"/>
    public bool TryWriteField(Span<byte> destination, StaticName name, ReadOnlySpan<byte> value, out int written)
    {
        written = 0;
        if (destination.Length < value.Length + MaxOverhead) return false;
        written = WriteSizeUpdates(destination);
        written += Write(destination[written..], name, StaticTable.Bytes(name), 0, value);
        return true;
    }

    // A name that is not well-known stands in its place already, up to nameEnd.
    private int Write(Span<byte> field, StaticName known, ReadOnlySpan<byte> name, int nameEnd, ReadOnlySpan<byte> value)
    {
        var kind = WithoutIndexing;
        if (Contains(Secret, known))
        {
            kind = NeverIndexed;
        }
        else if (name.Length + value.Length <= MaxIndexedLength && !Contains(Changing, known))
        {
            var hash = Hash(known, name, value);
            if (TryFind(hash, name, value, out var age)) return WriteInteger(field, Indexed, 7, StaticTable.Count + 1 + age);
            if (IsSeenAgain(hash) && Add(hash, known, name, value)) kind = WithIndexing;
        }
        var position = nameEnd;
        if (known == StaticName.None) field[0] = kind;
        else position = WriteInteger(field, kind, kind == WithIndexing ? 6 : 4, (int)known);
        position += WriteInteger(field[position..], 0, 7, value.Length);
        value.CopyTo(field[position..]);
        return position + value.Length;
    }

    private bool TryFind(int hash, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, out int age)
    {
        var hashes = _hashes.AsSpan(0, _slots);
        for (var slot = 0; hashes[slot..].IndexOf(hash) is >= 0 and var found; slot++)
        {
            slot += found;
            age = _table.AgeOf(slot);
            if (age >= _table.Count) continue;
            _table.Get(age, out _, out var entryName, out var entryValue);
            if (entryName.SequenceEqual(name) && entryValue.SequenceEqual(value)) return true;
        }
        age = 0;
        return false;
    }

    private bool IsSeenAgain(int hash)
    {
        ref var seen = ref _seen[hash & (_seen.Length - 1)];
        if (seen == hash) return true;
        seen = hash;
        return false;
    }

    // An entry larger than the table would only empty it.
    private bool Add(int hash, StaticName known, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (name.Length + value.Length + HpackTable.Overhead > _table.MaxSize) return false;
        _table.Add(known, name, value);
        _hashes[_table.NewestSlot] = hash;
        _slots = Math.Max(_slots, _table.NewestSlot + 1);
        return true;
    }

    // RFC 7541 section 4.2: the smallest size since the last block, and the one that holds now.
    private int WriteSizeUpdates(Span<byte> destination)
    {
        if (_smallestSize == _announcedSize && _table.MaxSize == _announcedSize) return 0;
        var written = 0;
        if (_smallestSize < Math.Min(_announcedSize, _table.MaxSize)) written = WriteInteger(destination, SizeUpdate, 5, _smallestSize);
        _smallestSize = _announcedSize = _table.MaxSize;
        return written + WriteInteger(destination[written..], SizeUpdate, 5, _announcedSize);
    }

    // Section 5.1.
    private static int WriteInteger(Span<byte> destination, byte kind, int prefix, int value)
    {
        var max = (1 << prefix) - 1;
        if (value < max)
        {
            destination[0] = (byte)(kind | value);
            return 1;
        }
        destination[0] = (byte)(kind | max);
        var written = 1;
        for (value -= max; value >= 0x80; value >>= 7) destination[written++] = (byte)(value | 0x80);
        destination[written++] = (byte)value;
        return written;
    }

    private static int Hash(StaticName known, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var hash = new HashCode();
        if (known == StaticName.None) hash.AddBytes(name);
        else hash.Add((int)known);
        hash.AddBytes(value);
        return hash.ToHashCode();
    }

    private static ulong Mask(params ReadOnlySpan<StaticName> names)
    {
        var mask = 0ul;
        foreach (var name in names) mask |= 1ul << (int)name;
        return mask;
    }

    private static bool Contains(ulong mask, StaticName name) => (mask >> (int)name & 1) != 0;
}
