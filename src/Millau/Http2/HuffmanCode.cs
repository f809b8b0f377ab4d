using System.Buffers.Binary;

namespace Millau.Http2;

/// <summary>
/// The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B), read only: what Millau writes it leaves as it is, because
/// the bytes saved are worth less than the time to save them.
/// </summary>
internal static class HuffmanCode
{
    /// <summary>The symbol that ends a string and must not occur in one.</summary>
    private const int EndOfString = 256;

    // No code is shorter than 5 bits or longer than 30. Nine bits hold all that ordinary fields consist of.
    private const int LongestCode = 30;
    private const int ShortBits = 9;

    // Symbols by code: the code is canonical, codes of one length follow each other in the order of their symbols.
    private static readonly short[] Symbols = new short[257];

    // For each length: the first 30 bits that belong to a longer code, and what to add to a code for its place in Symbols.
    private static readonly uint[] Limits = new uint[LongestCode + 1];
    private static readonly int[] Offsets = new int[LongestCode + 1];

    // For each value of the next nine bits: length of the code in the upper byte, symbol in the lower; 0 for longer codes.
    private static readonly ushort[] Short = new ushort[1 << ShortBits];

    static HuffmanCode()
    {
        uint code = 0;
        var place = 0;
        for (var length = 1; length <= LongestCode; length++)
        {
            code <<= 1;
            Offsets[length] = place - (int)code;
            for (var symbol = 0; symbol <= EndOfString; symbol++)
            {
                if (Lengths[symbol] != length) continue;
                if (length <= ShortBits)
                    Short.AsSpan((int)code << (ShortBits - length), 1 << (ShortBits - length)).Fill((ushort)(length << 8 | symbol));
                Symbols[place++] = (short)symbol;
                code++;
            }
            Limits[length] = code << (LongestCode - length);
        }
    }

    /// <summary>Bits of the code of each byte, and of the end.</summary>
    public static ReadOnlySpan<byte> Lengths =>
    [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
        30,
    ];

    /// <summary>Most bytes that a string of <paramref name="encoded"/> bytes decodes to.</summary>
    public static int MaxDecodedLength(int encoded) => (int)((long)encoded * 8 / 5);

    /// <summary>Decodes a whole string.</summary>
    /// <param name="source">The string without its length.</param>
    /// <param name="destination">At least <see cref="MaxDecodedLength"/> bytes.</param>
    /// <param name="written">Bytes of the decoded string.</param>
    /// <returns>False if the end symbol occurs, or if the padding is longer than seven bits or has a zero.</returns>
    public static bool TryDecode(ReadOnlySpan<byte> source, Span<byte> destination, out int written)
    {
        written = 0;
        // The next bits, from the top; below the last of them are zeros.
        ulong window = 0;
        var bits = 0;
        while (true)
        {
            if (bits < LongestCode)
            {
                if (source.Length >= 4)
                {
                    window |= (ulong)BinaryPrimitives.ReadUInt32BigEndian(source) << (32 - bits);
                    bits += 32;
                    source = source[4..];
                }
                else
                {
                    for (; !source.IsEmpty; source = source[1..], bits += 8) window |= (ulong)source[0] << (56 - bits);
                }
            }
            var entry = Short[window >> (64 - ShortBits)];
            var length = entry >> 8;
            var symbol = entry & 0xff;
            if (length == 0)
            {
                var next = (uint)(window >> (64 - LongestCode));
                for (length = ShortBits + 1; next >= Limits[length];) length++;
                symbol = Symbols[(int)(next >> (LongestCode - length)) + Offsets[length]];
            }
            // What is left is no code: padding, or the beginning of one. No code of up to seven bits has ones alone.
            if (length > bits) return bits < 8 && window == ~(ulong.MaxValue >> bits);
            if (symbol == EndOfString) return false;
            destination[written++] = (byte)symbol;
            window <<= length;
            bits -= length;
        }
    }
}
