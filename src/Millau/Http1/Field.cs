namespace Millau.Http1;

/// <summary>Where one header field stands in the buffer of its message, and which it is.</summary>
/// <param name="IsPlain">
/// Its line is <c>name: value</c> with one space and CR LF, as Millau itself writes it, and only characters that may be there: it can be
/// copied as it stands.
/// </param>
internal readonly record struct Field(
    FieldName Known, bool IsPlain, int NameStart, int NameLength, int ValueStart, int ValueLength)
{
    public ReadOnlySpan<byte> Name(ReadOnlySpan<byte> bytes) => bytes.Slice(NameStart, NameLength);

    public ReadOnlySpan<byte> Value(ReadOnlySpan<byte> bytes) => bytes.Slice(ValueStart, ValueLength);

    /// <summary>The lines of plain fields that stand one behind the other, as they were parsed, line ends included.</summary>
    public static ReadOnlySpan<byte> Lines(ReadOnlySpan<byte> bytes, ReadOnlySpan<Field> fields)
    {
        if (fields.IsEmpty) return default;
        ref readonly var last = ref fields[^1];
        return bytes[fields[0].NameStart..(last.ValueStart + last.ValueLength + 2)];
    }
}
