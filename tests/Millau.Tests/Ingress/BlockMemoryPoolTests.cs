using System.Buffers;
using Millau.Ingress;
using Millau.Memory;

namespace Millau.Tests.Ingress;

/// <summary>Which blocks are used again.</summary>
public class BlockMemoryPoolTests
{
    [Theory]
    [InlineData(16 * 1024)]
    [InlineData(64 * 1024)]
    public void As_many_bytes_are_kept_whatever_the_size_of_blocks(int size)
    {
        using var pool = new BlockMemoryPool(size, new BufferLedger());
        var most = BlockMemoryPool.MostFree / size;
        var first = RentAndReturn(pool, most + 10);
        var second = RentAndReturn(pool, most + 10);
        Assert.Equal(most, second.Count(first.Contains));
    }

    [Fact]
    public void The_block_that_came_back_last_goes_out_first()
    {
        using var pool = new BlockMemoryPool(1024, new BufferLedger());
        var blocks = new[] { pool.Rent(), pool.Rent() };
        foreach (var block in blocks) block.Dispose();
        using var again = pool.Rent();
        Assert.Same(blocks[1], again);
    }

    private static HashSet<IMemoryOwner<byte>> RentAndReturn(BlockMemoryPool pool, int count)
    {
        var blocks = Enumerable.Range(0, count).Select(_ => pool.Rent()).ToHashSet<IMemoryOwner<byte>>(ReferenceEqualityComparer.Instance);
        foreach (var block in blocks) block.Dispose();
        return blocks;
    }
}
