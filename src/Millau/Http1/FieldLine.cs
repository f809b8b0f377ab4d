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
    /// <summary>Reads the line that some bytes begin with, each byte once.</summary>
    /// <param name="bytes">From the first byte of the line on.</param>
    /// <param name="start">The place of that byte in the message.</param>
    /// <param name="field">With places in the message.</param>
    /// <returns>The length of the line with its end; 0 if there is no whole and right one, and <see cref="FaultOf"/> tells why.</returns>
    public static int TryRead(ReadOnlySpan<byte> bytes, int start, out Field field)
    {
        field = default;
        // A line that starts with white space (obs-fold) has no token before its colon and fails here too.
        var colon = HttpChars.TokenLength(bytes);
        if (colon == 0 || colon == bytes.Length || bytes[colon] != ':') return 0;
        var valueStart = colon + 1;
        while (valueStart < bytes.Length && bytes[valueStart] is (byte)' ' or (byte)'\t') valueStart++;
        // The first control character is the end, and it has to be CR LF: bare LF and bare CR are where smuggling begins.
        var valueLength = HttpChars.FieldValueLength(bytes[valueStart..]);
        if (valueLength < 0) return 0;
        var end = valueStart + valueLength;
        if (end + 1 >= bytes.Length || bytes[end] != '\r' || bytes[end + 1] != '\n') return 0;
        var valueEnd = end;
        while (valueEnd > valueStart && bytes[valueEnd - 1] is (byte)' ' or (byte)'\t') valueEnd--;
        var isPlain = valueEnd == end && valueStart == colon + 2 && bytes[colon + 1] == ' ';
        field = new Field(FieldNames.Of(bytes[..colon]), isPlain, start, colon, start + valueStart, valueEnd - valueStart);
        return end + 2;
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
