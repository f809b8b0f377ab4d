using Millau.Http2;

namespace Millau.Tests.Http2;

public class HpackReaderTests
{
    private readonly HpackDecoder _decoder = new();

    public static TheoryData<string> Vectors => [.. HpackVectors.All.Select(v => v.Name)];

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Examples_of_the_RFC(string name)
    {
        var vector = HpackVectors.All.Single(v => v.Name == name);
        _decoder.Table.Resize(vector.TableSize);
        foreach (var block in vector.Blocks)
        {
            Assert.Equal(block.Fields, Hpack.Fields(_decoder, Hpack.Hex(block.Hex)));
            Assert.Equal(block.Size, _decoder.Table.Size);
            Assert.Equal(block.Table, Hpack.Entries(_decoder));
        }
    }

    [Theory]
    [MemberData(nameof(Vectors))]
    public void An_example_that_is_cut_gives_the_fields_before_the_cut_and_an_error_within_one(string name)
    {
        var vector = HpackVectors.All.Single(v => v.Name == name);
        for (var last = 0; last < vector.Blocks.Length; last++)
        {
            var whole = Hpack.Hex(vector.Blocks[last].Hex);
            var good = 0;
            for (var length = 0; length < whole.Length; length++)
            {
                var decoder = new HpackDecoder();
                decoder.Table.Resize(vector.TableSize);
                foreach (var block in vector.Blocks.Take(last)) Hpack.Fields(decoder, Hpack.Hex(block.Hex));
                var (fields, error, _) = Hpack.Decode(decoder, whole[..length]);
                Assert.Equal(vector.Blocks[last].Fields.Take(fields.Count), fields);
                Assert.True(error is ErrorCode.NoError or ErrorCode.CompressionError);
                if (error == ErrorCode.NoError) good++;
            }
            // The empty one, and those that end where a field does.
            Assert.Equal(vector.Blocks[last].Fields.Length, good);
        }
    }

    [Fact]
    public void A_well_known_name_is_known_however_it_is_sent()
    {
        Hpack.Fields(_decoder, [0x41, .. Hpack.String("a"), .. Hpack.Literal("cookie", "b", indexed: true), .. Hpack.Literal("x", "c", indexed: true)]);
        byte[] block =
        [
            0x83, .. Hpack.Literal("host", "d"), .. Hpack.Literal("host", "e", huffman: true), 0x0f, 0x17, .. Hpack.String("f"),
            0xbf, 0xbe, 0xc0, 0x7f, 0, .. Hpack.String("g"), .. Hpack.Literal("hosts", "h"), .. Hpack.Literal("Host", "i"), 0x8c,
        ];
        var reader = _decoder.Read(block);
        var seen = new List<(StaticName, string)>();
        while (reader.TryNext(out var known, out _, out var value)) seen.Add((known, Hpack.Text(value)));
        Assert.Equal(
            [
                (StaticName.Method, "POST"), (StaticName.Host, "d"), (StaticName.Host, "e"), (StaticName.Host, "f"), (StaticName.Cookie, "b"),
                (StaticName.None, "c"), (StaticName.Authority, "a"), (StaticName.Cookie, "g"), (StaticName.None, "h"), (StaticName.None, "i"),
                (StaticName.Status, "400"),
            ], seen);
    }

    [Fact]
    public void The_size_of_the_list_counts_32_bytes_for_each_field()
    {
        var (_, error, size) = Hpack.Decode(_decoder, [0x82, .. Hpack.Literal("abc", "defgh"), .. Hpack.Literal("", "", huffman: true)]);
        Assert.Equal((ErrorCode.NoError, 10 + 32 + 8 + 32 + 32), (error, size));
    }

    [Fact]
    public void The_name_of_an_entry_that_its_own_field_evicts_is_read()
    {
        var value = new string('v', 2000);
        Hpack.Fields(_decoder, Hpack.Literal("the-name", value, indexed: true));
        Hpack.Fields(_decoder, Hpack.Literal("other", value, indexed: true));
        // Index 63 is the first one, which has to go.
        var fields = Hpack.Fields(_decoder, [0x40 | 63, 0, .. Hpack.String(value + "!")]);
        Assert.Equal([$"the-name: {value}!"], fields);
        Assert.Equal([$"the-name: {value}!", $"other: {value}"], Hpack.Entries(_decoder));
    }

    [Fact]
    public void A_field_larger_than_the_table_empties_it_and_is_read_all_the_same()
    {
        Hpack.Fields(_decoder, Hpack.Literal("name", "x", indexed: true));
        var value = new string('v', 4096 - 32 - 3);
        Assert.Equal([$"name: {value}"], Hpack.Fields(_decoder, [0x40 | 62, .. Hpack.String(value)]));
        Assert.Equal((0, 0), (_decoder.Table.Count, _decoder.Table.Size));
        Assert.Equal([$"name: {value[1..]}"], Hpack.Fields(_decoder, Hpack.Literal("name", value[1..], indexed: true)));
        Assert.Equal((1, 4096), (_decoder.Table.Count, _decoder.Table.Size));
    }

    [Fact]
    public void The_table_may_be_made_smaller_and_larger_before_the_first_field()
    {
        Hpack.Fields(_decoder, [.. Hpack.Literal("a", "1", indexed: true), .. Hpack.Literal("b", "2", indexed: true)]);
        Assert.Equal(["b: 2"], Hpack.Fields(_decoder, [.. Hpack.Integer(0x20, 5, 67), 0xbe]));
        Assert.Equal(34, _decoder.Table.Size);
        Assert.Equal(["c: 3"], Hpack.Fields(_decoder, [0x20, .. Hpack.Integer(0x20, 5, 4096), .. Hpack.Literal("c", "3", indexed: true)]));
        Assert.Equal(["c: 3"], Hpack.Entries(_decoder));
        Assert.Empty(Hpack.Fields(_decoder, [0x20]));
        Assert.Equal(["d: 4"], Hpack.Fields(_decoder, Hpack.Literal("d", "4", indexed: true)));
        Assert.Empty(Hpack.Entries(_decoder));
    }

    public static TheoryData<string, byte[]> Hostile => new()
    {
        { "index 0", [0x80] },
        { "an index behind the static table while the dynamic one is empty", [0xbe] },
        { "a name of an index behind the tables", [0x7f, 0, 1, (byte)'a'] },
        { "a name of an index far behind the tables", [0x0f, 0xff, 0xff, 0xff, 0x7f, 1, (byte)'a'] },
        { "an index that overflows", [0xff, 0xff, 0xff, 0xff, 0xff, 0x0f] },
        { "an index that overflows 64 bits", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01] },
        { "an index that zeros make long", [0xff, 0x80, 0x80, 0x80, 0x80, 0x00] },
        { "an index that is cut", [0xff, 0x80] },
        { "a length beyond the block", [0x00, 5, (byte)'a'] },
        { "a length far beyond the block", [0x00, 0x7f, 0xff, 0xff, 0xff, 0x7f, (byte)'a'] },
        { "a length that overflows", [0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f, (byte)'a'] },
        { "a Huffman length far beyond the block", [0x00, 0xff, 0xff, 0xff, 0xff, 0x7f, (byte)'a'] },
        { "a name without a value", [0x00, 1, (byte)'a'] },
        { "no name", [0x00] },
        { "Huffman padding with a zero", [0x00, 0x81, 0x00, 0] },
        { "a Huffman value with the end symbol", [0x00, 1, (byte)'a', 0x84, 0xff, 0xff, 0xff, 0xff] },
        { "a size update behind a field", [0x82, 0x20] },
        { "a size update larger than announced", [0x3f, 0xe2, 0x1f] },
        { "a size update far larger", [0x3f, 0xff, 0xff, 0xff, 0x7f] },
        { "a size update that is cut", [0x3f] },
    };

    [Theory]
    [MemberData(nameof(Hostile))]
    public void What_is_wrong_ends_the_block(string what, byte[] block)
    {
        Assert.NotEmpty(what);
        // More good fields behind it: none of them is read.
        var reader = _decoder.Read([.. block, 0x82, 0x82]);
        while (reader.TryNext(out _, out _, out _)) Assert.Equal(ErrorCode.NoError, reader.Error);
        var (fields, error, _) = Hpack.Decode(new HpackDecoder(), block);
        Assert.Equal(ErrorCode.CompressionError, error);
        Assert.True(fields.Count <= 1);
    }

    [Fact]
    public void Nothing_is_read_behind_an_error()
    {
        var reader = _decoder.Read([0x80, 0x82]);
        Assert.False(reader.TryNext(out _, out _, out _));
        Assert.False(reader.TryNext(out _, out _, out _));
        Assert.Equal(ErrorCode.CompressionError, reader.Error);
        Assert.Equal(0, reader.ListSize);
    }

    [Fact]
    public void Many_references_to_a_large_entry_take_no_memory_and_are_given_up()
    {
        Hpack.Fields(_decoder, Hpack.Literal("bomb", new string('b', 4000), indexed: true));
        var block = new byte[16 * 1024];
        Array.Fill(block, (byte)0xbe);
        Read(_decoder, block[..2]);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var (count, size, error) = Read(_decoder, block);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1000);
        Assert.Equal(ErrorCode.EnhanceYourCalm, error);
        Assert.Equal(HpackReader.MaxListSize / 4036, count);
        Assert.InRange(size, HpackReader.MaxListSize, HpackReader.MaxListSize + 4096);

        static (int Count, int Size, ErrorCode Error) Read(HpackDecoder decoder, byte[] block)
        {
            var count = 0;
            var reader = decoder.Read(block);
            while (reader.TryNext(out _, out _, out _)) count++;
            return (count, reader.ListSize, reader.Error);
        }
    }

    [Fact]
    public void Room_for_a_long_string_is_given_back()
    {
        var text = new string('0', 50_000);
        Assert.Equal([$"a: {text}"], Hpack.Fields(_decoder, Hpack.Literal("a", text, huffman: true)));
        Assert.InRange(_decoder.Scratch(1).Length, 1, 8192);
        Assert.Equal(ErrorCode.CompressionError, Hpack.Decode(_decoder, [.. Hpack.Literal("a", text, huffman: true), 0x80]).Error);
        Assert.InRange(_decoder.Scratch(1).Length, 1, 8192);
    }

    [Fact]
    public void Long_names_and_values_that_are_Huffman_coded_stand_side_by_side()
    {
        foreach (var (name, value) in new[] { (1, 1), (100, 300), (400, 100), (3000, 9000), (1, 20_000) })
        {
            var field = $"{new string('n', name)}: {new string('0', value)}";
            Assert.Equal([field, field], Hpack.Fields(new HpackDecoder(),
                [.. Hpack.Literal(new string('n', name), new string('0', value), huffman: true),
                 .. Hpack.Literal(new string('n', name), new string('0', value), huffman: true)]));
        }
    }

    [Fact]
    public void Reading_allocates_nothing()
    {
        var block = Hpack.Hex(HpackVectors.All.Single(v => v.Name == "C.6").Blocks[2].Hex);
        byte[] all = [.. Hpack.Literal(":status", "307", indexed: true), .. Hpack.Literal("a", "b", indexed: true), .. block, .. block];
        Read(100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var fields = Read(1000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(14 * 1000, fields);

        int Read(int times)
        {
            var fields = 0;
            for (var i = 0; i < times; i++)
            {
                var reader = _decoder.Read(all);
                while (reader.TryNext(out _, out _, out _)) fields++;
            }
            return fields;
        }
    }
}
