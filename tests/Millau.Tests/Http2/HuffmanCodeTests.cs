using CsCheck;
using Millau.Http2;

namespace Millau.Tests.Http2;

public class HuffmanCodeTests
{
    [Theory]
    [InlineData("f1e3 c2e5 f23a 6ba0 ab90 f4ff", "www.example.com")]
    [InlineData("a8eb 1064 9cbf", "no-cache")]
    [InlineData("25a8 49e9 5bb8 e8b4 bf", "custom-value")]
    [InlineData("ae c3 77 1a 4b", "private")]
    [InlineData("", "")]
    public void Strings_of_the_RFC(string hex, string text)
    {
        Assert.Equal(text, Decode(Hpack.Hex(hex)));
        Assert.Equal(Hpack.Hex(hex), Hpack.Huffman(Hpack.Bytes(text)));
    }

    // Appendix B, an entry or two of each length.
    [Theory]
    [InlineData('0', "00000")]
    [InlineData('t', "01001")]
    [InlineData(' ', "010100")]
    [InlineData('u', "101101")]
    [InlineData(':', "1011100")]
    [InlineData('z', "1111011")]
    [InlineData('&', "11111000")]
    [InlineData('Z', "11111101")]
    [InlineData('!', "1111111000")]
    [InlineData('|', "11111111100")]
    [InlineData('#', "111111111010")]
    [InlineData('\0', "1111111111000")]
    [InlineData('}', "11111111111101")]
    [InlineData('<', "111111111111100")]
    [InlineData('\\', "1111111111111110000")]
    [InlineData('\u0080', "11111111111111100110")]
    [InlineData('\u0099', "111111111111111011100")]
    [InlineData('\u0081', "1111111111111111010010")]
    [InlineData('\u0001', "11111111111111111011000")]
    [InlineData('\t', "111111111111111111101010")]
    [InlineData('\u00c7', "1111111111111111111101100")]
    [InlineData('\u00ff', "11111111111111111111101110")]
    [InlineData('\u00fe', "111111111111111111111110000")]
    [InlineData('\u0002', "1111111111111111111111100010")]
    [InlineData('\n', "111111111111111111111111111100")]
    [InlineData('\u0016', "111111111111111111111111111110")]
    public void Codes_of_the_RFC(char symbol, string bits) =>
        Assert.Equal(symbol.ToString(), Decode(Hpack.Bits(bits.PadRight((bits.Length + 7) / 8 * 8, '1'))));

    [Fact]
    public void Any_bytes_come_back_and_fit_the_room_that_is_said_to_be_enough() =>
        Gen.Byte.Array[0, 300].Sample(bytes => Assert.Equal(Hpack.Text(bytes), Decode(Hpack.Huffman(bytes))));

    [Fact]
    public void Ordinary_text_comes_back() =>
        Gen.Char[' ', '~'].Array[0, 300].Sample(text => Assert.Equal(new string(text), Decode(Hpack.Huffman(Hpack.Bytes(new string(text))))));

    [Theory]
    [InlineData("00000 000")] // zeros
    [InlineData("00000 110")] // a zero at the end
    [InlineData("00000 011")] // a zero at the start
    [InlineData("11111111")] // eight bits
    [InlineData("00000 111 11111111")] // eleven bits
    [InlineData("00000 111 11111111 11111111 11111111")] // nearly the end symbol
    [InlineData("11111111 11111111 11111111 11111111")] // the end symbol, padded
    [InlineData("00000 111 11111111 11111111 11111111 11100000")] // the end symbol within
    [InlineData("11111111 11111111 11111110")] // the beginning of a long code
    public void Wrong_padding_and_the_end_symbol_are_refused(string bits) => Assert.Null(Decode(Hpack.Bits(bits)));

    [Theory]
    [InlineData("00000 111", "0")]
    [InlineData("00000 00000 111111", "00")]
    [InlineData("11111000", "&")]
    [InlineData("1011100 1", ":")]
    [InlineData("0000000000000000000000000000000000000000", "00000000")]
    [InlineData("111111111111100 1", "<")]
    [InlineData("11111111 11111111 11111111 111100 11", "\n")]
    public void Up_to_seven_ones_are_padding(string bits, string text) => Assert.Equal(text, Decode(Hpack.Bits(bits)));

    private static string? Decode(byte[] source)
    {
        var destination = new byte[HuffmanCode.MaxDecodedLength(source.Length)];
        return HuffmanCode.TryDecode(source, destination, out var written) ? Hpack.Text(destination.AsSpan(0, written)) : null;
    }
}
