using System.Buffers;
using System.Globalization;
using System.Text;

namespace Millau.Telemetry.Metrics;

/// <summary>
/// The rows of a gauge whose labels come and go, as a service's state does: written as text when somebody asks, so that no row
/// is kept in between, however many services there are; only room for about as many. One thread at a time.
/// </summary>
internal sealed class GaugeRows(string name, string help, string[] labels)
{
    private const int SmallRoom = 4096;

    // Its room is kept for the next time.
    private ArrayBufferWriter<byte> _text = new();

    /// <summary>Adds a row. The same labels come once in a scrape at most.</summary>
    /// <param name="values">One for each label.</param>
    public void Set(double value, params ReadOnlySpan<string> values)
    {
        if (values.Length != labels.Length) throw new ArgumentException("one value for each label", nameof(values));
        if (_text.WrittenCount == 0)
        {
            Write("# HELP ");
            Write(name);
            Write(" ");
            Write(help);
            Write("\n# TYPE ");
            Write(name);
            Write(" gauge\n");
        }
        Write(name);
        for (var i = 0; i < labels.Length; i++)
        {
            Write(i == 0 ? "{" : ",");
            Write(labels[i]);
            Write("=\"");
            WriteValue(values[i]);
            Write("\"");
        }
        Write(labels.Length == 0 ? " " : "} ");
        value.TryFormat(_text.GetSpan(32), out var length, default, CultureInfo.InvariantCulture);
        _text.Advance(length);
        Write("\n");
    }

    /// <summary>Gives all rows away, with the gauge's name and type before them; nothing if there are none.</summary>
    public void MoveTo(Stream text)
    {
        text.Write(_text.WrittenSpan);
        // Many services may have been here that are not any more.
        if (_text.Capacity > 4 * Math.Max(_text.WrittenCount, SmallRoom)) _text = new ArrayBufferWriter<byte>();
        else _text.ResetWrittenCount();
    }

    private void Write(ReadOnlySpan<char> text) => Encoding.UTF8.GetBytes(text, _text);

    private void WriteValue(string value)
    {
        if (value.AsSpan().IndexOfAny('\\', '"', '\n') >= 0)
            value = value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)
                .Replace("\n", "\\n", StringComparison.Ordinal);
        Write(value);
    }
}
