namespace Millau.Http2;

/// <summary>
/// A dynamic table of HPACK (RFC 7541 section 2.3.2): first in, first out, the newest entry has index 62. The bytes of the entries
/// lie behind each other, so each is one span; the storage is made when the first entry comes, and never exceeds twice
/// <see cref="Capacity"/>.
/// </summary>
internal sealed class HpackTable
{
    /// <summary>Largest size in bytes as RFC 7541 counts them, and the size at first: the default of SETTINGS_HEADER_TABLE_SIZE.</summary>
    public const int Capacity = 4096;

    /// <summary>What an entry or a field counts besides its bytes (RFC 7541 section 4.1).</summary>
    public const int Overhead = 32;

    /// <summary>Most entries: those without a name and a value.</summary>
    public const int MaxCount = Capacity / Overhead;

    private const int FirstLength = 512;

    private byte[] _bytes = [];
    private Entry[] _entries = [];

    // Where the newest entry ends, and its number: entry n stands at _entries[n % MaxCount].
    private int _end;
    private uint _newest;

    private readonly record struct Entry(ushort Start, ushort NameLength, ushort ValueLength, StaticName Name);

    /// <summary>Entries.</summary>
    public int Count { get; private set; }

    /// <summary>Size in bytes, as RFC 7541 section 4.1 counts them.</summary>
    public int Size { get; private set; }

    /// <summary>What <see cref="Size"/> may grow to.</summary>
    public int MaxSize { get; private set; } = Capacity;

    /// <summary>Where the newest entry stands among <see cref="MaxCount"/> slots, which are given out in turn.</summary>
    public int NewestSlot => (int)(_newest % MaxCount);

    /// <summary>Counted from the newest, 0: the entry in a slot. Not less than <see cref="Count"/> if there is none any more.</summary>
    public int AgeOf(int slot) => (NewestSlot - slot + MaxCount) % MaxCount;

    /// <summary>An entry, by its age: 0 is the newest. Its spans hold until the next <see cref="Add"/>.</summary>
    public void Get(int age, out StaticName known, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        var entry = _entries[(_newest - (uint)age) % MaxCount];
        known = entry.Name;
        name = _bytes.AsSpan(entry.Start, entry.NameLength);
        value = _bytes.AsSpan(entry.Start + entry.NameLength, entry.ValueLength);
    }

    /// <summary>
    /// Adds an entry and evicts those for which there is no room any more; one that is larger than the table empties it
    /// (RFC 7541 section 4.4). The name may be that of an entry of this table, also of one that goes now.
    /// </summary>
    /// <returns>False if the entry is larger than the table.</returns>
    public bool Add(StaticName known, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var length = name.Length + value.Length;
        if (length + Overhead > MaxSize)
        {
            Evict(0);
            return false;
        }
        if (_entries.Length == 0) _entries = new Entry[MaxCount];
        // At most Capacity bytes are in use and as many come. A name out of the old array stays readable.
        if (_end + length > _bytes.Length)
            Array.Resize(ref _bytes, Math.Min(2 * Capacity, Math.Max(FirstLength, 2 * (_end + length))));
        name.CopyTo(_bytes.AsSpan(_end));
        value.CopyTo(_bytes.AsSpan(_end + name.Length));
        Evict(MaxSize - length - Overhead);
        _entries[++_newest % MaxCount] = new Entry((ushort)_end, (ushort)name.Length, (ushort)value.Length, known);
        _end += length;
        Count++;
        Size += length + Overhead;
        if (_end > Capacity) MoveToFront();
        return true;
    }

    /// <summary>Sets <see cref="MaxSize"/>, 0 to <see cref="Capacity"/>, and evicts what exceeds it.</summary>
    public void Resize(int maxSize)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)maxSize, (uint)Capacity, nameof(maxSize));
        MaxSize = maxSize;
        Evict(maxSize);
    }

    private void Evict(int size)
    {
        while (Size > size)
        {
            var oldest = _entries[(_newest - (uint)Count + 1) % MaxCount];
            Size -= oldest.NameLength + oldest.ValueLength + Overhead;
            Count--;
        }
    }

    // The entries fill the bytes before _end without a gap.
    private void MoveToFront()
    {
        var start = _end - (Size - Count * Overhead);
        _bytes.AsSpan(start, _end - start).CopyTo(_bytes);
        for (var i = 0u; i < Count; i++)
        {
            ref var entry = ref _entries[(_newest - i) % MaxCount];
            entry = entry with { Start = (ushort)(entry.Start - start) };
        }
        _end -= start;
    }
}
