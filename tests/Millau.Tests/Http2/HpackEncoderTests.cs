using CsCheck;
using Millau.Http2;

namespace Millau.Tests.Http2;

public class HpackEncoderTests
{
    private readonly HpackEncoder _encoder = new();
    private readonly HpackDecoder _decoder = new();

    [Fact]
    public void A_field_that_recurs_becomes_one_byte_the_third_time()
    {
        Assert.Equal([0x0f, 0x27, .. Hpack.String("Millau")], Field("Server", "Millau"));
        Assert.Equal([0x40 | 54, .. Hpack.String("Millau")], Field("server", "Millau"));
        Assert.Equal([0xbe], Field("SERVER", "Millau"));
        Assert.Equal(Hpack.Literal("x-served-by", "a"), Field("X-Served-By", "a"));
        Assert.Equal(Hpack.Literal("x-served-by", "a", indexed: true), Field("X-Served-By", "a"));
        Assert.Equal([0xbe], Field("X-Served-By", "a"));
        Assert.Equal([0xbf], Field("Server", "Millau"));
        Assert.Equal([0x0f, 0x27, .. Hpack.String("Other")], Field("Server", "Other"));
        Assert.Equal(["x-served-by: a", "server: Millau"], Table());
    }

    [Theory]
    [InlineData("Date")]
    [InlineData("Content-Length")]
    [InlineData("ETag")]
    [InlineData("Last-Modified")]
    [InlineData("Location")]
    [InlineData("Age")]
    public void A_field_that_changes_is_not_indexed(string name)
    {
        for (var i = 0; i < 5; i++) Assert.Equal(0x00, Field(name, "value")[0] & 0xf0);
        Assert.Empty(Table());
    }

    [Theory]
    [InlineData("Set-Cookie")]
    [InlineData("Cookie")]
    [InlineData("Authorization")]
    [InlineData("Proxy-Authorization")]
    public void A_secret_is_never_indexed_by_anyone(string name)
    {
        for (var i = 0; i < 5; i++) Assert.Equal(0x10, Field(name, "value")[0] & 0xf0);
        Assert.Empty(Table());
    }

    [Fact]
    public void A_long_value_is_not_indexed()
    {
        for (var i = 0; i < 5; i++) Field("link", new string('l', 125));
        Assert.Empty(Table());
        for (var i = 0; i < 5; i++) Field("link", new string('l', 124));
        Assert.Single(Table());
    }

    [Fact]
    public void Statuses_of_the_static_table_are_one_byte()
    {
        Assert.Equal([0x88], Status(200));
        Assert.Equal([0x8d], Status(404));
        Assert.Equal([0x08, 3, .. "302"u8], Status(302));
        Assert.Equal([0x48, 3, .. "302"u8], Status(302));
        Assert.Equal([0xbe], Status(302));
        Assert.Equal([0x08, 3, .. "100"u8], Status(100));
        Assert.Equal([0x08, 3, .. "999"u8], Status(999));
        Assert.Equal([":status: 200", ":status: 302", ":status: 999"],
            Hpack.Fields(new HpackDecoder(), [.. Hpack.Hex("88 48033330 32 08033939 39")]));
    }

    [Fact]
    public void A_well_known_name_is_the_same_whether_it_comes_as_bytes_or_not()
    {
        var other = new HpackEncoder();
        var destination = new byte[100];
        for (var i = 0; i < 3; i++)
        {
            foreach (var known in new[] { StaticName.Server, StaticName.Date, StaticName.ContentType, StaticName.SetCookie })
            {
                Assert.True(other.TryWriteField(destination, known, "value"u8, out var written));
                Assert.Equal(Field(Hpack.Text(StaticTable.Bytes(known)).ToUpperInvariant(), "value"), destination[..written]);
            }
        }
    }

    [Fact]
    public void A_smaller_table_of_the_peer_is_announced_with_the_next_block()
    {
        for (var i = 0; i < 2; i++) Field("server", "Millau");
        _encoder.SetPeerTableSize(100);
        Assert.Equal([.. Hpack.Integer(0x20, 5, 100), 0x88], Status(200));
        Assert.Equal([0x88], Status(200));
        Assert.Equal([0xbe], Field("server", "Millau"));
        _encoder.SetPeerTableSize(0);
        Assert.Equal(0x20, Field("server", "Millau")[0]);
        for (var i = 0; i < 5; i++) Assert.Equal(0x0f, Field("server", "Millau")[0]);
        Assert.Equal(0, _decoder.Table.MaxSize);
        _encoder.SetPeerTableSize(65_536);
        Assert.Equal([.. Hpack.Integer(0x20, 5, 4096), 0x88], Status(200));
    }

    [Fact]
    public void A_table_that_was_smaller_for_a_moment_is_announced_with_both_sizes()
    {
        for (var i = 0; i < 2; i++) Field("server", "Millau");
        _encoder.SetPeerTableSize(10);
        _encoder.SetPeerTableSize(5000);
        Assert.Equal([.. Hpack.Integer(0x20, 5, 10), .. Hpack.Integer(0x20, 5, 4096), 0x88], Status(200));
        Assert.Empty(Table());
        Assert.Equal(0x40 | 54, Field("server", "Millau")[0]);
    }

    [Fact]
    public void A_larger_table_than_the_own_changes_nothing()
    {
        _encoder.SetPeerTableSize(uint.MaxValue);
        Assert.Equal([0x88], Status(200));
    }

    [Fact]
    public void Where_there_is_no_room_nothing_is_done()
    {
        Field("x", "abc");
        _encoder.SetPeerTableSize(10);
        _encoder.SetPeerTableSize(4096);
        var destination = new byte[4 + HpackEncoder.MaxOverhead];
        for (var length = 0; length < destination.Length; length++)
        {
            Assert.False(_encoder.TryWriteField(destination.AsSpan(0, length), "x"u8, "abc"u8, out var none));
            Assert.Equal(0, none);
        }
        Assert.False(_encoder.TryWriteField(new byte[HpackEncoder.MaxOverhead + 2], StaticName.Via, "abc"u8, out _));
        Assert.False(_encoder.TryWriteStatus(new byte[HpackEncoder.MaxOverhead - 1], 200, out _));
        Assert.False(_encoder.TryWriteStatus(new byte[HpackEncoder.MaxOverhead + 2], 201, out _));
        Assert.True(_encoder.TryWriteField(destination, "x"u8, "abc"u8, out var written));
        Assert.Equal([.. Hpack.Integer(0x20, 5, 10), .. Hpack.Integer(0x20, 5, 4096), .. Hpack.Literal("x", "abc", indexed: true)], destination[..written]);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(126)]
    [InlineData(127)]
    [InlineData(300)]
    [InlineData(16_511)]
    [InlineData(100_000)]
    public void The_room_that_is_said_to_be_enough_is(int length)
    {
        var text = new string('a', length);
        var destination = new byte[2 * length + HpackEncoder.MaxOverhead];
        _encoder.SetPeerTableSize(5);
        _encoder.SetPeerTableSize(4000);
        Assert.True(_encoder.TryWriteField(destination, Hpack.Bytes(text), Hpack.Bytes(text), out var written));
        Assert.Equal([$"{text}: {text}"], Hpack.Fields(_decoder, destination[..written]));
    }

    [Fact]
    public void A_name_that_is_no_token_is_a_mistake_of_the_caller() =>
        Assert.Throws<ArgumentException>(() => _encoder.TryWriteField(new byte[100], [0xe9], "a"u8, out _));

    [Fact]
    public void What_was_evicted_is_written_in_full_again()
    {
        for (var round = 0; round < 5; round++)
        {
            for (var i = 0; i < 150; i++)
            {
                Field("n" + i % 50, $"{i}");
                Field("n" + i % 50, $"{i}");
                Field("server", "Millau");
            }
        }
        Assert.InRange(_decoder.Table.Count, 100, HpackTable.MaxCount);
    }

    /// <summary>A peer with a decoder of its own reads what was meant, whatever sizes its table has in between.</summary>
    [Fact]
    public void What_is_written_is_read()
    {
        var name = Gen.OneOf(
            Gen.OneOf("Server", "content-type", "Via", "Set-Cookie", "DATE", "x-a", "X-B", "x-request-id", "cache-control"),
            Gen.Char['A', 'z'].Where(char.IsAsciiLetter).Array[1, 30].Select(c => new string(c)));
        var value = Gen.OneOf(Gen.OneOf("", "a", "text/html", new string('v', 90)), Gen.Char['\0', '\u00ff'].Array[0, 150].Select(c => new string(c)));
        var size = Gen.OneOf(Gen.UInt[0, 200], Gen.UInt[0, 5000], Gen.Const(4096u));
        var block = Gen.Select(size.Array[0, 2], Gen.Int[100, 999], Gen.Select(name, value).Array[0, 12]);
        block.Array[1, 40].Sample(blocks =>
        {
            var encoder = new HpackEncoder();
            var decoder = new HpackDecoder();
            foreach (var (sizes, status, fields) in blocks)
            {
                foreach (var peer in sizes) encoder.SetPeerTableSize(peer);
                var written = new List<byte>();
                var destination = new byte[400];
                Assert.True(encoder.TryWriteStatus(destination, status, out var length));
                written.AddRange(destination.AsSpan(0, length));
                foreach (var (fieldName, fieldValue) in fields)
                {
                    Assert.True(encoder.TryWriteField(destination, Hpack.Bytes(fieldName), Hpack.Bytes(fieldValue), out length));
                    written.AddRange(destination.AsSpan(0, length));
                }
                Assert.Equal([$":status: {status}", .. fields.Select(f => $"{f.Item1.ToLowerInvariant()}: {f.Item2}")], Hpack.Fields(decoder, [.. written]));
                if (sizes.Length > 0) Assert.Equal((int)Math.Min(sizes[^1], 4096), decoder.Table.MaxSize);
            }
        });
    }

    [Fact]
    public void Writing_allocates_nothing()
    {
        var destination = new byte[200];
        Write(100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Write(1000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Write(int times)
        {
            for (var i = 0; i < times; i++)
            {
                _encoder.TryWriteStatus(destination, 200 + i % 100, out _);
                _encoder.TryWriteField(destination, "Content-Type"u8, "application/json"u8, out _);
                _encoder.TryWriteField(destination, "X-Number"u8, [(byte)(i % 90)], out _);
                _encoder.TryWriteField(destination, "set-cookie"u8, "a=b"u8, out _);
            }
        }
    }

    // Each block goes to the decoder too, as to a peer, which reads what was meant.
    private byte[] Field(string name, string value)
    {
        var destination = new byte[name.Length + value.Length + HpackEncoder.MaxOverhead];
        Assert.True(_encoder.TryWriteField(destination, Hpack.Bytes(name), Hpack.Bytes(value), out var written));
        Assert.Equal([$"{name.ToLowerInvariant()}: {value}"], Hpack.Fields(_decoder, destination[..written]));
        return destination[..written];
    }

    private byte[] Status(int status)
    {
        var destination = new byte[100];
        Assert.True(_encoder.TryWriteStatus(destination, status, out var written));
        Assert.Equal([$":status: {status}"], Hpack.Fields(_decoder, destination[..written]));
        return destination[..written];
    }

    private List<string> Table() => Hpack.Entries(_decoder);
}
