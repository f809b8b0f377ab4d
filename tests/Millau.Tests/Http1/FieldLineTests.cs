using System.Text;
using CsCheck;
using Millau.Http1;

namespace Millau.Tests.Http1;

public class FieldLineTests
{
    // Characters that matter to the grammar, more often than all the others; long enough for the vectors now and then.
    private static readonly Gen<string> Text =
        Gen.OneOf(AnyOf([.. "\r\n\0 \t:aZ-_\"\u007f\u0080\u00ff"]), Gen.Char['\0', '\u00ff']).Array[0, 40].Select(c => new string(c));

    private static readonly Gen<string> Line = Gen.Select(Gen.OneOf(Text, AnyOf(["Date", "x-a", "Content-Length"])),
        AnyOf([":", ": ", ":\t ", ":  ", " :", ""]), Gen.OneOf(Text, AnyOf(["", "value", "a b  ", new string('v', 50)])),
        AnyOf(["\r\n", "\n", "\r", "", "\r\nNext: 1\r\n"]), (name, colon, value, end) => name + colon + value + end);

    [Fact]
    public void A_line_is_read_as_the_grammar_says() => Line.Sample(text =>
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        var length = FieldLine.TryRead(bytes, 100, out var field);
        var (fault, name, value, whole) = Expected(text);
        if (fault is not null)
        {
            Assert.Equal(0, length);
            Assert.Equal(fault, FieldLine.FaultOf(bytes));
            return;
        }
        Assert.Equal(whole, length);
        Assert.Equal((100, name.Length), (field.NameStart, field.NameLength));
        Assert.Equal(value, text.Substring(field.ValueStart - 100, field.ValueLength));
        Assert.Equal(text[..length] == $"{name}: {value}\r\n", field.IsPlain);
    }, iter: 20_000);

    [Theory]
    [InlineData("Date: x\r\n", "Date", true)]
    [InlineData("dATE:x\r\n", "Date", false)]
    [InlineData("Date: \r\n", "Date", true)]
    [InlineData("Date:\r\n", "Date", false)]
    [InlineData("X-Date:\tx\r\n", "Other", false)]
    [InlineData("X-Date: x \r\n", "Other", false)]
    public void It_tells_which_field_it_is_and_whether_it_can_be_copied(string line, string known, bool isPlain)
    {
        Assert.Equal(line.Length, FieldLine.TryRead(Encoding.Latin1.GetBytes(line), 0, out var field));
        Assert.Equal((known, isPlain), (field.Known.ToString(), field.IsPlain));
    }

    private static Gen<T> AnyOf<T>(T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    // The grammar in other words: by the end of the line first, then its colon.
    private static (FieldFault? Fault, string Name, string Value, int Length) Expected(string text)
    {
        var end = text.IndexOf('\n');
        if (end < 0) return (FieldFault.Incomplete, "", "", 0);
        if (end == 0 || text[end - 1] != '\r') return (FieldFault.BadEnd, "", "", 0);
        var line = text[..(end - 1)];
        var colon = line.IndexOf(':');
        if (colon < 0) return (FieldFault.NoColon, "", "", 0);
        if (!HttpChars.IsToken(line.AsSpan(0, colon))) return (FieldFault.BadName, "", "", 0);
        var value = line[(colon + 1)..];
        return value.Any(c => c is < ' ' and not '\t' or '\u007f')
            ? (FieldFault.BadValue, "", "", 0)
            : (null, line[..colon], value.Trim(' ', '\t'), end + 1);
    }
}
