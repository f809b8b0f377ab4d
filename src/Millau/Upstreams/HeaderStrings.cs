using System.Text;

namespace Millau.Upstreams;

/// <summary>
/// Remembers the header strings of the last response on a connection. Most responses of an instance repeat most of
/// the fields of the one before, at the same place, so their strings are made once.
/// </summary>
internal sealed class HeaderStrings
{
    // More than any ordinary response has; the rest is made anew each time.
    private const int MaxEntries = 32;

    // A longer value is hardly a repeated one, and is not worth holding for the life of the connection.
    private const int MaxValueLength = 256;

    private (string Name, string Value)[] _entries = [];

    /// <summary>The strings for the field at a place in the head.</summary>
    public (string Name, string Value) Get(int place, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (place >= MaxEntries || value.Length > MaxValueLength) return (ToString(name), ToString(value));
        if (place >= _entries.Length) Array.Resize(ref _entries, Math.Min(MaxEntries, Math.Max(8, place * 2)));
        ref var entry = ref _entries[place];
        if (entry.Name is null || !Ascii.Equals(name, entry.Name)) entry = (ToString(name), ToString(value));
        else if (!Ascii.Equals(value, entry.Value)) entry.Value = ToString(value);
        return entry;
    }

    private static string ToString(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);
}
