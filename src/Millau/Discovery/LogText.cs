namespace Millau.Discovery;

/// <summary>Foreign text for a log line.</summary>
internal static class LogText
{
    private const int Longest = 200;

    /// <summary>Cut short, and without control characters, so that no label or answer can forge a line.</summary>
    /// <param name="text">From elsewhere.</param>
    /// <param name="longest">Characters that are kept.</param>
    public static string Clean(string text, int longest = Longest)
    {
        var cut = text.Length > longest ? string.Concat(text.AsSpan(0, longest), "…") : text;
        return cut.AsSpan().IndexOfAnyInRange('\0', '\x1f') < 0 && !cut.Contains('\x7f')
            ? cut
            : string.Create(cut.Length, cut, static (span, source) =>
            {
                for (var i = 0; i < span.Length; i++)
                    span[i] = char.IsControl(source[i]) ? ' ' : source[i];
            });
    }
}
