namespace Millau.Http2;

/// <summary>
/// What is kept from one header block of a connection to the next (RFC 7541): the dynamic table, and room for strings that were
/// Huffman-coded. Blocks are read in the order in which they came, each to its end.
/// </summary>
internal sealed class HpackDecoder
{
    // What may stay behind a block; a connection that has sent one long string does not hold its room for ever.
    private const int MaxKeptScratch = 8192;

    private byte[] _scratch = [];

    /// <summary>The dynamic table.</summary>
    public HpackTable Table { get; } = new();

    /// <summary>Reads a whole header block: the fragments of HEADERS and CONTINUATION joined.</summary>
    /// <param name="block">Bounded by the caller: a Huffman-coded string takes 1.6 times its bytes while it is read.</param>
    public HpackReader Read(ReadOnlySpan<byte> block) => new(this, block);

    /// <summary>Room for decoded strings, which holds until the next call.</summary>
    public Span<byte> Scratch(int length)
    {
        if (_scratch.Length < length) _scratch = new byte[Math.Max(length, Math.Max(256, Math.Min(2 * _scratch.Length, MaxKeptScratch)))];
        return _scratch;
    }

    /// <summary>A block is read.</summary>
    public void Trim()
    {
        if (_scratch.Length > MaxKeptScratch) _scratch = [];
    }
}
