using System.Text;

namespace Millau.Tests.Wire.Http2;

/// <summary>A header block, field by field, just as the test wants it on the wire (RFC 7541): nothing is checked.</summary>
internal sealed class HeaderBlock
{
    /// <summary>The index of the entry that was put into the peer's dynamic table last.</summary>
    public const int Newest = 62;

    private readonly List<byte> _bytes = [];

    public int Length => _bytes.Count;

    public byte[] ToArray() => [.. _bytes];

    /// <summary>A literal that leaves the dynamic table alone.</summary>
    public HeaderBlock Add(string name, string value) => Literal(0x00, name, value);

    /// <summary>A literal that becomes the newest entry of the dynamic table.</summary>
    public HeaderBlock AddToTable(string name, string value) => Literal(0x40, name, value);

    /// <summary>A field of the static or the dynamic table.</summary>
    public HeaderBlock AddIndexed(int index) => Integer(0x80, 7, index);

    private HeaderBlock Literal(byte kind, string name, string value)
    {
        _bytes.Add(kind);
        return Text(name).Text(value);
    }

    private HeaderBlock Text(string text)
    {
        Integer(0, 7, text.Length);
        _bytes.AddRange(Encoding.Latin1.GetBytes(text));
        return this;
    }

    // RFC 7541 section 5.1.
    private HeaderBlock Integer(byte flags, int prefix, int value)
    {
        var most = (1 << prefix) - 1;
        if (value < most)
        {
            _bytes.Add((byte)(flags | value));
            return this;
        }
        _bytes.Add((byte)(flags | most));
        for (value -= most; value >= 128; value >>= 7) _bytes.Add((byte)(value | 128));
        _bytes.Add((byte)value);
        return this;
    }
}

/// <summary>Reads header blocks of a peer that was told to have no dynamic table and does not use Huffman's code.</summary>
internal static class HeaderBlockReader
{
    private static readonly (string Name, string Value)[] Static =
    [
        (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"), (":scheme", "http"),
        (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
        (":status", "404"), (":status", "500"), ("accept-charset", ""), ("accept-encoding", "gzip, deflate"),
        ("accept-language", ""), ("accept-ranges", ""), ("accept", ""), ("access-control-allow-origin", ""), ("age", ""),
        ("allow", ""), ("authorization", ""), ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""),
        ("content-language", ""), ("content-length", ""), ("content-location", ""), ("content-range", ""), ("content-type", ""),
        ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""),
        ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""),
        ("link", ""), ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
        ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""),
        ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
    ];

    public static List<(string Name, string Value)> Read(ReadOnlySpan<byte> block)
    {
        var fields = new List<(string, string)>();
        while (!block.IsEmpty)
        {
            var first = block[0];
            if ((first & 0x80) != 0)
            {
                fields.Add(Static[Integer(ref block, 7) - 1]);
            }
            else if ((first & 0xe0) == 0x20)
            {
                Assert.Equal(0, Integer(ref block, 5));
            }
            else
            {
                var index = Integer(ref block, (first & 0x40) != 0 ? 6 : 4);
                var name = index > 0 ? Static[index - 1].Name : Text(ref block);
                fields.Add((name, Text(ref block)));
            }
        }
        return fields;
    }

    private static string Text(ref ReadOnlySpan<byte> block)
    {
        Assert.Equal(0, block[0] & 0x80);
        var length = Integer(ref block, 7);
        var text = Encoding.Latin1.GetString(block[..length]);
        block = block[length..];
        return text;
    }

    private static int Integer(ref ReadOnlySpan<byte> block, int prefix)
    {
        var most = (1 << prefix) - 1;
        var value = block[0] & most;
        block = block[1..];
        if (value < most) return value;
        for (var shift = 0; ; shift += 7)
        {
            var next = block[0];
            block = block[1..];
            value += (next & 127) << shift;
            if ((next & 128) == 0) return value;
        }
    }
}
