namespace Millau.Telemetry;

/// <summary>Columns of text for a terminal or a file: no colours, nothing that a terminal could obey.</summary>
internal sealed class TextTable(params string[] titles)
{
    private readonly List<string[]> _rows = [titles];

    public void Add(params string[] cells) => _rows.Add([.. cells.Select(Printable)]);

    /// <summary>Writes the rows with their titles; nothing at all if there are none.</summary>
    public void WriteTo(TextWriter output)
    {
        if (_rows.Count == 1)
            return;
        var widths = titles.Select((_, column) => _rows.Max(r => r[column].Length)).ToArray();
        foreach (var row in _rows)
        {
            var line = string.Join("  ", row.Select((cell, column) => cell.PadRight(widths[column])));
            output.WriteLine(line.TrimEnd());
        }
    }

    /// <summary>
    /// Labels and names are foreign text: control characters, among them those that begin terminal sequences, and marks that
    /// turn the direction of writing become <c>?</c>.
    /// </summary>
    public static string Printable(string text) => text.AsSpan().IndexOfAnyExceptInRange(' ', '~') < 0
        ? text
        : string.Create(text.Length, text, static (span, source) =>
        {
            for (var i = 0; i < span.Length; i++)
                span[i] = IsHarmless(source[i]) ? source[i] : '?';
        });

    private static bool IsHarmless(char c) => !char.IsControl(c)
        && char.GetUnicodeCategory(c) is not (System.Globalization.UnicodeCategory.Format
            or System.Globalization.UnicodeCategory.LineSeparator or System.Globalization.UnicodeCategory.ParagraphSeparator);
}
