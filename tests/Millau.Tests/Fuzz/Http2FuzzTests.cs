using Millau.Http1;
using Millau.Http2;
using Millau.Tests.Http2;

namespace Millau.Tests.Fuzz;

/// <summary>What an HTTP/2 client sends, read without a connection.</summary>
public class Http2FuzzTests
{
    [Fact]
    public void Header_blocks() => Fuzzer.Run(
        HpackVectors.All.SelectMany(v => v.Blocks).Select(b => Hpack.Text(Hpack.Hex(b.Hex))).Concat(
        [
            Hpack.Text([0x20, 0x3f, 0xe1, 0x1f, .. Hpack.Literal("name", new string('v', 4000), indexed: true), 0xbe, 0xbe, 0x7e, 0]),
            Hpack.Text([.. Hpack.Literal("long", new string('\n', 100), indexed: true, huffman: true), 0xbe, .. Hpack.Integer(0x0f, 4, 62), 0]),
        ]),
        static (bytes, random) =>
        {
            var decoder = new HpackDecoder();
            decoder.Table.Resize(random.Next(3) == 0 ? random.Next(200) : HpackTable.Capacity);
            var size = decoder.Table.MaxSize;
            // Twice the same block: the second time the table is full of what the first has left.
            for (var i = 0; i < 2; i++)
            {
                var (fields, error, listSize) = Hpack.Decode(decoder, bytes);
                Assert.True(error is ErrorCode.NoError or ErrorCode.CompressionError or ErrorCode.EnhanceYourCalm);
                Assert.InRange(decoder.Table.Size, 0, decoder.Table.MaxSize);
                Assert.InRange(decoder.Table.Count, 0, HpackTable.MaxCount);
                if (error != ErrorCode.EnhanceYourCalm) Assert.Equal(fields.Sum(f => f.Length - 2 + HpackTable.Overhead), listSize);
                if (i > 0 || error != ErrorCode.NoError) break;
                var again = new HpackDecoder();
                again.Table.Resize(size);
                Assert.Equal(fields, Hpack.Fields(again, bytes));
                ReadBack(fields);
            }
        });

    [Fact]
    public void Frames() => Fuzzer.Run(
        ["\0\0\u0005\0\u0008\0\0\0\u0001\u0002ab\0\0", "\0\0\u0006\u0001\u0025\0\0\0\u0001\0\0\0\u0003\u0010\u0082", "\0\0\u000c\u0004\0\0\0\0\0\0\u0004\0\0\u00ff\u00ff\0\u0005\0\0\u0040\0",
            "\0\0\u0004\u0008\0\0\0\0\0\0\0\0\u0001", "\0\0\u0008\u0007\0\0\0\0\0\0\0\0\u0001\0\0\0\0", "\0\0\u0004\u0003\0\0\0\0\u0001\0\0\0\u0008"],
        static (bytes, random) =>
        {
            if (bytes.Length < FrameHeader.Size) return;
            var header = FrameHeader.Read(bytes);
            var payload = bytes.AsSpan(FrameHeader.Size);
            var error = FrameTests.Check(header, payload);
            if (error != ErrorCode.NoError) return;
            switch (header.Type)
            {
                case FrameType.Settings:
                    var settings = new PeerSettings();
                    settings.Apply(payload);
                    Assert.InRange(settings.MaxFrameSize, FrameHeader.DefaultMaxLength, FrameHeader.LargestLength);
                    Assert.True(settings.InitialWindowSize >= 0);
                    break;
                case FrameType.WindowUpdate:
                    FramePayload.WindowUpdate(payload, out var increment);
                    Assert.True(increment > 0);
                    break;
            }
        });

    // What was read, written and read again is the same, as far as it could be written.
    private static void ReadBack(List<string> fields)
    {
        var encoder = new HpackEncoder();
        var decoder = new HpackDecoder();
        for (var i = 0; i < 3; i++)
        {
            foreach (var field in fields)
            {
                var name = field[..Math.Max(0, field.IndexOf(": ", StringComparison.Ordinal))];
                var value = field[(name.Length + 2)..];
                if (!HttpChars.IsToken(name)) continue;
                var destination = new byte[field.Length + HpackEncoder.MaxOverhead];
                Assert.True(encoder.TryWriteField(destination, Hpack.Bytes(name), Hpack.Bytes(value), out var written));
                Assert.Equal([$"{name.ToLowerInvariant()}: {value}"], Hpack.Fields(decoder, destination[..written]));
            }
        }
    }
}
