using CsCheck;
using Millau.Http2;

namespace Millau.Tests.Http2;

public class HpackTableTests
{
    /// <summary>Against a list that does the same in the simplest way.</summary>
    [Fact]
    public void First_in_is_first_out_and_the_size_is_kept()
    {
        var length = Gen.OneOf(Gen.Int[0, 5], Gen.Int[0, 100], Gen.Int[0, 5000]);
        var operation = Gen.Select(Gen.Int[0, 9], length, length, Gen.Int[0, 4096]);
        operation.Array[0, 300].Sample(operations =>
        {
            var table = new HpackTable();
            var model = new List<string>();
            var letter = 0;
            foreach (var (kind, nameLength, valueLength, size) in operations)
            {
                if (kind == 0)
                {
                    table.Resize(size);
                }
                else
                {
                    var text = (char)('a' + letter++ % 26);
                    // Sometimes the name of an entry, which this may evict.
                    ReadOnlySpan<byte> name = Hpack.Bytes(new string(text, nameLength));
                    if (kind == 1 && table.Count > 0) table.Get(table.Count - 1, out _, out name, out _);
                    var value = Hpack.Bytes(new string(text, valueLength));
                    model.Insert(0, $"{Hpack.Text(name)}|{Hpack.Text(value)}");
                    var fits = name.Length + value.Length + HpackTable.Overhead <= table.MaxSize;
                    Assert.Equal(fits, table.Add(StaticName.None, name, value));
                }
                while (SizeOf(model) > table.MaxSize) model.RemoveAt(model.Count - 1);
                Assert.Equal(SizeOf(model), table.Size);
                Assert.Equal(model, EntriesOf(table));
            }
        }, iter: 300);
    }

    [Fact]
    public void The_most_entries_there_can_be_are_those_without_bytes()
    {
        var table = new HpackTable();
        for (var i = 0; i < 1000; i++) Assert.True(table.Add(StaticName.None, [], []));
        Assert.Equal((HpackTable.MaxCount, HpackTable.Capacity), (table.Count, table.Size));
    }

    [Fact]
    public void It_never_grows_beyond_its_capacity() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new HpackTable().Resize(HpackTable.Capacity + 1));

    private static int SizeOf(List<string> model) => model.Sum(e => e.Length - 1 + HpackTable.Overhead);

    private static List<string> EntriesOf(HpackTable table)
    {
        var entries = new List<string>();
        for (var age = 0; age < table.Count; age++)
        {
            table.Get(age, out _, out var name, out var value);
            entries.Add($"{Hpack.Text(name)}|{Hpack.Text(value)}");
        }
        return entries;
    }
}
