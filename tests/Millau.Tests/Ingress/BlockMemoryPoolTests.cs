using System.Buffers;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Ingress;
using Millau.Memory;
using Millau.Tests.Transport;
using Millau.Transport;

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

    [Theory]
    [InlineData(16 * 1024)]
    [InlineData(64 * 1024)]
    public async Task Shelves_of_loops_are_part_of_what_is_kept(int size)
    {
        using var pool = new BlockMemoryPool(size, new BufferLedger());
        using var loops = new EventLoops(NullLogger.Instance);
        var most = BlockMemoryPool.MostFree / size;
        var seen = RentAndReturn(pool, most + 10);
        foreach (var loop in loops.All) await loop.RunAsync(() => seen.UnionWith(RentAndReturn(pool, most + 10)));

        // The first of them has all that is shared, each of them what is on its shelf.
        var kept = 0;
        foreach (var loop in loops.All) await loop.RunAsync(() => kept += Rent(pool, most + 10).Count(seen.Contains));

        Assert.Equal(most, kept);
    }

    [Fact]
    public async Task On_a_loop_too_the_block_that_came_back_last_goes_out_first()
    {
        using var pool = new BlockMemoryPool(64 * 1024, new BufferLedger());
        using var loops = new EventLoops(NullLogger.Instance, 1);
        await loops.All[0].RunAsync(() =>
        {
            var blocks = Rent(pool, 2);
            foreach (var block in blocks) block.Dispose();
            Assert.Same(blocks[1], pool.Rent());
            Assert.Same(blocks[0], pool.Rent());
        });
    }

    [Fact]
    public async Task A_block_that_a_loop_gave_back_serves_that_loop_and_one_that_another_thread_gave_back_anybody()
    {
        using var pool = new BlockMemoryPool(64 * 1024, new BufferLedger());
        using var loops = new EventLoops(NullLogger.Instance, 1);
        var ofLoop = pool.Rent();
        var ofThread = pool.Rent();
        await loops.All[0].RunAsync(ofLoop.Dispose);
        ofThread.Dispose();

        Assert.Same(ofThread, pool.Rent());
        Assert.NotSame(ofLoop, pool.Rent());
        await loops.All[0].RunAsync(() => Assert.Same(ofLoop, pool.Rent()));
    }

    // The ledger throws for a block that goes out twice or comes back twice.
    [Fact]
    public async Task Blocks_that_are_given_back_by_others_than_those_who_took_them_go_out_once_each()
    {
        var ledger = new BufferLedger();
        using var pool = new BlockMemoryPool(1024, ledger);
        using var loops = new EventLoops(NullLogger.Instance, 2);
        var passedOn = new System.Collections.Concurrent.ConcurrentQueue<IMemoryOwner<byte>>();
        void Work()
        {
            for (var i = 0; i < 2000; i++)
            {
                passedOn.Enqueue(pool.Rent());
                if (i % 3 != 0 && passedOn.TryDequeue(out var block)) block.Dispose();
                if (i % 16 != 0) continue;
                while (passedOn.TryDequeue(out block)) block.Dispose();
            }
        }

        await Task.WhenAll(loops.All[0].RunAsync(Work), loops.All[1].RunAsync(Work), Task.Run(Work));
        foreach (var block in passedOn) block.Dispose();

        Assert.Equal(0, ledger.Count);
    }

    private static IMemoryOwner<byte>[] Rent(BlockMemoryPool pool, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => pool.Rent())];

    private static HashSet<IMemoryOwner<byte>> RentAndReturn(BlockMemoryPool pool, int count)
    {
        var blocks = Rent(pool, count).ToHashSet<IMemoryOwner<byte>>(ReferenceEqualityComparer.Instance);
        foreach (var block in blocks) block.Dispose();
        return blocks;
    }
}
