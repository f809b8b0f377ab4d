using System.Text;
using Millau.Http2;

namespace Millau.Tests.Http2;

/// <summary>Header blocks by hand: what a peer could send, good and bad.</summary>
internal static class Hpack
{
    // Built bit by bit from the lengths alone, another way than the reader's.
    private static readonly string[] Codes = MakeCodes();

    public static byte[] Hex(string hex) => Convert.FromHexString(hex.Replace(" ", "").ReplaceLineEndings(""));

    public static byte[] Bytes(string latin1) => Encoding.Latin1.GetBytes(latin1);

    public static string Text(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);

    /// <summary>Reads a block to its end or its error.</summary>
    public static (List<string> Fields, ErrorCode Error, int ListSize) Decode(HpackDecoder decoder, byte[] block)
    {
        var fields = new List<string>();
        var reader = decoder.Read(block);
        while (reader.TryNext(out _, out var name, out var value)) fields.Add($"{Text(name)}: {Text(value)}");
        return (fields, reader.Error, reader.ListSize);
    }

    /// <summary>Fields of a block that must be good.</summary>
    public static List<string> Fields(HpackDecoder decoder, byte[] block)
    {
        var (fields, error, _) = Decode(decoder, block);
        Assert.Equal(ErrorCode.NoError, error);
        return fields;
    }

    /// <summary>The entries of a dynamic table, newest first, read through the indices that a peer would use.</summary>
    public static List<string> Entries(HpackDecoder decoder) =>
        Fields(decoder, [.. Enumerable.Range(62, decoder.Table.Count).SelectMany(i => Integer(0x80, 7, i))]);

    public static byte[] Integer(int kind, int prefix, long value)
    {
        var max = (1 << prefix) - 1;
        if (value < max) return [(byte)(kind | (int)value)];
        var bytes = new List<byte> { (byte)(kind | max) };
        for (value -= max; value >= 128; value /= 128) bytes.Add((byte)(value % 128 + 128));
        return [.. bytes, (byte)value];
    }

    public static byte[] String(string text, bool huffman = false)
    {
        var bytes = huffman ? Huffman(Bytes(text)) : Bytes(text);
        return [.. Integer(huffman ? 0x80 : 0, 7, bytes.Length), .. bytes];
    }

    /// <summary>A field with both strings in full.</summary>
    public static byte[] Literal(string name, string value, bool indexed = false, bool huffman = false) =>
        [indexed ? (byte)0x40 : (byte)0, .. String(name, huffman), .. String(value, huffman)];

    public static byte[] Huffman(byte[] bytes)
    {
        var bits = string.Concat(bytes.Select(b => Codes[b]));
        return Bits(bits.PadRight((bits.Length + 7) / 8 * 8, '1'));
    }

    /// <summary>Whole bytes out of zeros and ones.</summary>
    public static byte[] Bits(string bits) => [.. bits.Replace(" ", "").Chunk(8).Select(b => Convert.ToByte(new string(b), 2))];

    private static string[] MakeCodes()
    {
        var codes = new string[257];
        var lengths = HuffmanCode.Lengths.ToArray();
        var code = 0L;
        var length = 0;
        foreach (var symbol in Enumerable.Range(0, 257).OrderBy(s => lengths[s]).ThenBy(s => s))
        {
            code <<= lengths[symbol] - length;
            length = lengths[symbol];
            codes[symbol] = Convert.ToString(code++, 2).PadLeft(length, '0');
        }
        return codes;
    }
}
