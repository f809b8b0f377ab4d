using System.Runtime.CompilerServices;

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

    /// <summary>
    /// Takes the plain fields that some begin with, which stand one behind the other in their head: their lines as they were parsed, line
    /// ends included; empty if the first is none. What is left then is nothing, or begins with one that is not plain.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ReadOnlySpan<byte> TakeLines(ReadOnlySpan<byte> head, ref ReadOnlySpan<Field> fields)
    {
        var count = 0;
        while (count < fields.Length && fields[count].IsPlain) count++;
        if (count == 0) return default;
        ref readonly var last = ref fields[count - 1];
        var lines = head[fields[0].NameStart..(last.ValueStart + last.ValueLength + 2)];
        fields = fields[count..];
        return lines;
    }
}
