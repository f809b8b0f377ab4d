using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Millau.Discovery;

/// <summary>
/// Parses lists of which hardly anything differs from one to the next: an element whose bytes are as they were is not parsed
/// again, but found by its hash. One list at a time.
/// </summary>
/// <remarks>
/// The elements of the last list are kept, not their bytes. With 10,000 services that is the difference between parsing tens of
/// megabytes for each look and stepping over them. What somebody writes into a label must not be able to pass for another element.
/// </remarks>
internal sealed class KeptElements<T>(JsonTypeInfo<T> type)
    where T : class
{
    private readonly KeyedHash _hash = new();
    private Dictionary<UInt128, T> _kept = [];

    /// <summary>All elements, nulls too; null if the list itself is null.</summary>
    /// <exception cref="JsonException">No list, or an element that is not what it should be.</exception>
    public List<T?>? Parse(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
            return null;
        if (reader.TokenType != JsonTokenType.StartArray)
            throw new JsonException("a list was expected");
        var list = new List<T?>(_kept.Count);
        var kept = new Dictionary<UInt128, T>(_kept.Count);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            var bytes = json[start..(int)reader.BytesConsumed];
            var key = _hash.Of(bytes);
            if (!_kept.TryGetValue(key, out var element))
                element = JsonSerializer.Deserialize(bytes, type);
            if (element is not null)
                kept[key] = element;
            list.Add(element);
        }

        // Refuses what follows the list.
        reader.Read();
        _kept = kept;
        return list;
    }
}
