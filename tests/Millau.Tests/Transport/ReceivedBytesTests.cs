using System.Buffers;
using Millau.Ingress;
using Millau.Memory;
using Millau.Transport;

namespace Millau.Tests.Transport;

/// <summary>What was received: every place that its user can have consumed and examined it to.</summary>
public class ReceivedBytesTests
{
    private const int BlockSize = 4;

    [Fact]
    public void What_is_left_is_what_was_not_consumed_and_counts_as_seen_only_to_its_end()
    {
        for (var length = 1; length <= 3 * BlockSize; length++)
        for (var consumed = 0; consumed <= length; consumed++)
        for (var examined = consumed; examined <= length; examined++)
        {
            var ledger = new BufferLedger();
            using var pool = new BlockMemoryPool(BlockSize, ledger);
            var received = new ReceivedBytes(pool);
            for (var i = 0; i < length; i++) Add(ref received, (byte)i);
            var all = received.All;
            Assert.Equal(length, all.Length);
            Assert.False(received.AllExamined);

            Assert.Equal(consumed, received.AdvanceTo(all.GetPosition(consumed), all.GetPosition(examined)));

            Assert.Equal(examined == length, received.AllExamined);
            Assert.Equal(consumed == length, received.IsEmpty);
            if (received.IsEmpty) Assert.Equal(0, ledger.Count);
            Add(ref received, (byte)length);
            Assert.False(received.AllExamined);
            Assert.Equal(Enumerable.Range(consumed, length - consumed + 1).Select(i => (byte)i), received.All.ToArray());
            Assert.Equal(length - consumed + 1, received.Clear());
            Assert.Equal(0, ledger.Count);
        }
    }

    [Fact]
    public void A_block_that_nothing_was_put_into_goes_back_and_leaves_all_as_it_was()
    {
        var ledger = new BufferLedger();
        using var pool = new BlockMemoryPool(BlockSize, ledger);
        var received = new ReceivedBytes(pool);
        Assert.Equal(BlockSize, received.GetRoom(1).Length);
        received.Add(0);
        Assert.True(received.IsEmpty);
        Assert.True(received.AllExamined);
        Assert.Equal(0, ledger.Count);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_block_with_room_that_is_out_stays_though_it_is_consumed(int added)
    {
        var ledger = new BufferLedger();
        using var pool = new BlockMemoryPool(BlockSize, ledger);
        var received = new ReceivedBytes(pool);
        Add(ref received, 1);
        var room = received.GetRoom(1);
        Assert.Equal(1, received.AdvanceTo(received.All.End, received.All.End));
        Assert.True(received.AllExamined);
        Assert.Equal(0, received.All.Length);
        Assert.Equal(1, ledger.Count);

        room.Span[0] = 2;
        received.Add(added);

        Assert.Equal(added == 0, received.AllExamined);
        Assert.Equal(added == 0 ? [] : [2], received.All.ToArray());
        Assert.Equal(added, ledger.Count);
        received.Clear();
    }

    private static void Add(ref ReceivedBytes received, byte value)
    {
        received.GetRoom(1).Span[0] = value;
        received.Add(1);
    }
}
