namespace Millau.Http1;

/// <summary>What is wrong with a field line.</summary>
internal enum FieldFault
{
    /// <summary>Nothing, so far: its end is not there yet.</summary>
    Incomplete,

    BadEnd,
    NoColon,
    BadName,
    BadValue,
}

/// <summary>
/// One line of a header section (RFC 9112 section 5), for requests and responses alike, and strictly: what two readers could understand
/// differently is none.
/// </summary>
internal static class FieldLine
{
    private static ReadOnlySpan<byte> Space => " \t"u8;

    /// <summary>Reads the line that some bytes begin with, each byte once.</summary>
    /// <param name="bytes">From the first byte of the line on.</param>
    /// <param name="start">The place of that byte in the message.</param>
    /// <param name="field">With places in the message.</param>
    /// <returns>The length of the line with its end; 0 if there is no whole and right one, and <see cref="FaultOf"/> tells why.</returns>
    public static int TryRead(ReadOnlySpan<byte> bytes, int start, out Field field)
    {
        // A line that starts with white space (obs-fold) has no token before its colon and fails here too.
        var colon = HttpChars.TokenLength(bytes);
        if (colon == 0 || colon >= bytes.Length || bytes[colon] != ':') return None(out field);
        // The first control character is the end, and it has to be CR LF: bare LF and bare CR are where smuggling begins.
        var value = bytes[(colon + 1)..];
        var length = HttpChars.FieldValueLength(value);
        if (length < 0 || length + 1 >= value.Length || value[length] != '\r' || value[length + 1] != '\n') return None(out field);
        // What is left of the value without the white space around it: nearly always, that is one space in front.
        var first = 1;
        var end = length;
        if (length < 2 || value[0] != ' ' || value[1] <= ' ' || value[length - 1] <= ' ')
        {
            first = length - value[..length].TrimStart(Space).Length;
            end = first + value[first..length].TrimEnd(Space).Length;
        }
        var isPlain = first == 1 && end == length && value[0] == ' ';
        field = new Field(FieldNames.Of(bytes[..colon]), isPlain, start, colon, start + colon + 1 + first, end - first);
        return colon + 1 + length + 2;
    }

    private static int None(out Field field)
    {
        field = default;
        return 0;
    }

    /// <summary>What is wrong where <see cref="TryRead"/> read nothing.</summary>
    public static FieldFault FaultOf(ReadOnlySpan<byte> bytes)
    {
        var end = bytes.IndexOf((byte)'\n');
        if (end < 0) return FieldFault.Incomplete;
        if (end == 0 || bytes[end - 1] != '\r') return FieldFault.BadEnd;
        var colon = bytes[..end].IndexOf((byte)':');
        if (colon < 0) return FieldFault.NoColon;
        return HttpChars.IsToken(bytes[..colon]) ? FieldFault.BadValue : FieldFault.BadName;
    }
}
