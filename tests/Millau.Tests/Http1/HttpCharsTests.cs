using System.Text;
using Millau.Http1;

namespace Millau.Tests.Http1;

public class HttpCharsTests
{
    [Fact]
    public void A_value_ends_at_the_first_control_character_wherever_that_is()
    {
        for (var length = 0; length <= 50; length++)
        {
            var text = Enumerable.Repeat((byte)'v', length).ToArray();
            Assert.Equal(-1, HttpChars.FieldValueLength(text));
            for (var place = 0; place < length; place++)
            {
                for (var value = 0; value < 256; value++)
                {
                    text[place] = (byte)value;
                    var isControl = value is < ' ' and not '\t' or 0x7f;
                    Assert.Equal(isControl ? place : -1, HttpChars.FieldValueLength(text));
                    // Another one behind it changes nothing.
                    if (!isControl || place + 1 == length) continue;
                    text[^1] = (byte)'\r';
                    Assert.Equal(place, HttpChars.FieldValueLength(text));
                    text[^1] = (byte)'v';
                }
                text[place] = (byte)'v';
            }
        }
    }

    [Fact]
    public void A_byte_is_a_token_character_as_it_is_for_text()
    {
        for (var value = 0; value < 256; value++)
        {
            var isToken = HttpChars.IsToken([(char)value]);
            Assert.Equal(isToken, HttpChars.IsToken([(byte)value]));
            Assert.Equal(isToken ? 2 : 1, HttpChars.TokenLength([(byte)'a', (byte)value]));
        }
        Assert.False(HttpChars.IsToken(ReadOnlySpan<byte>.Empty));
    }

    [Fact]
    public void A_token_ends_at_the_first_byte_that_is_no_token_character_wherever_that_is()
    {
        for (var length = 0; length <= 50; length++)
        {
            var text = Enumerable.Repeat((byte)'t', length).ToArray();
            Assert.Equal(length, HttpChars.TokenLength(text));
            for (var place = 0; place < length; place++)
            {
                for (var value = 0; value < 256; value++)
                {
                    text[place] = (byte)value;
                    var isToken = HttpChars.IsToken([(char)value]);
                    Assert.Equal(isToken ? length : place, HttpChars.TokenLength(text));
                    // Another one behind it changes nothing.
                    if (isToken || place + 1 == length) continue;
                    text[^1] = (byte)':';
                    Assert.Equal(place, HttpChars.TokenLength(text));
                    text[^1] = (byte)'t';
                }
                text[place] = (byte)'t';
            }
        }
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("a", true)]
    [InlineData("!#$%&'*+-.^_`|~09azAZ", true)]
    [InlineData("a b", false)]
    [InlineData("a:", false)]
    [InlineData("\"a", false)]
    [InlineData("(a)", false)]
    [InlineData("a\u0080", false)]
    [InlineData("a\0", false)]
    public void A_token_is_one_or_more_token_characters(string text, bool isToken)
    {
        Assert.Equal(isToken, HttpChars.IsToken(text));
        Assert.Equal(isToken, HttpChars.IsToken(Encoding.Latin1.GetBytes(text)));
    }

    [Theory]
    [InlineData("te")]
    [InlineData("close")]
    [InlineData("chunked")]
    [InlineData("x-real2p")]
    [InlineData("keep-alive")]
    [InlineData("transfer-encoding")]
    public void Without_case_all_text_that_has_no_control_characters_is_compared_exactly(string lower)
    {
        var expected = Encoding.ASCII.GetBytes(lower);
        Assert.True(HttpChars.EqualsIgnoreCase(Encoding.ASCII.GetBytes(lower.ToUpperInvariant()), expected));
        Assert.False(HttpChars.EqualsIgnoreCase(expected.AsSpan(1), expected));
        Assert.False(HttpChars.EqualsIgnoreCase([.. expected, (byte)'x'], expected));
        for (var place = 0; place < expected.Length; place++)
        {
            var text = expected.ToArray();
            for (var value = (int)' '; value < 256; value++)
            {
                text[place] = (byte)value;
                Assert.Equal(Ascii.EqualsIgnoreCase(text, expected), HttpChars.EqualsIgnoreCase(text, expected));
            }
        }
    }
}
