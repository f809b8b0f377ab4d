using System.Buffers;
using Millau.Ingress;
using Millau.Memory;

namespace Millau.Tests.Memory;

/// <summary>The account of pooled buffers finds what it is there for. Each test keeps a ledger of its own.</summary>
public class BufferLedgerTests
{
    private readonly BufferLedger _ledger = new();

    [Fact]
    public void What_is_returned_is_out_no_more_and_holds_nothing_of_what_it_held()
    {
        var pool = Pool();
        var buffer = pool.Rent(100);
        buffer[0] = 1;
        Assert.Equal(1, _ledger.Count);

        pool.Return(buffer);

        Assert.Equal(0, _ledger.Count);
        Assert.All(buffer, b => Assert.Equal(0xDB, b));
    }

    [Fact]
    public void A_buffer_that_leaks_is_named_with_the_method_that_rented_it()
    {
        Leak(Pool());

        Assert.Contains(nameof(Leak), Assert.Single(_ledger.Out));

        static void Leak(BufferPool pool) => pool.Rent(100);
    }

    [Fact]
    public void A_block_that_leaks_is_named_with_the_method_that_rented_it()
    {
        Leak(new BlockMemoryPool(1024, _ledger));

        Assert.Contains(nameof(Leak), Assert.Single(_ledger.Out));

        static void Leak(BlockMemoryPool pool) => pool.Rent();
    }

    [Fact]
    public void A_buffer_cannot_be_returned_twice()
    {
        var pool = Pool();
        var buffer = pool.Rent(100);
        pool.Return(buffer);

        Assert.Throws<InvalidOperationException>(() => pool.Return(buffer));
    }

    [Fact]
    public void A_block_cannot_be_returned_twice()
    {
        var block = new BlockMemoryPool(1024, _ledger).Rent();
        block.Dispose();

        Assert.Throws<InvalidOperationException>(block.Dispose);
    }

    [Fact]
    public void A_buffer_of_another_pool_is_not_taken() =>
        Assert.Throws<InvalidOperationException>(() => Pool().Return(new byte[128]));

    [Fact]
    public void A_block_that_was_written_to_after_it_was_returned_is_found_when_it_is_rented_again()
    {
        var pool = new BlockMemoryPool(1024, _ledger);
        var block = pool.Rent();
        var memory = block.Memory;
        block.Dispose();
        memory.Span[1000] = 1;

        Assert.Throws<InvalidOperationException>(() => pool.Rent());
    }

    [Fact]
    public void What_is_left_to_the_collector_on_purpose_is_counted_and_cannot_be_returned()
    {
        var pool = Pool();
        var buffer = pool.Rent(100);
        pool.Abandon(buffer);

        Assert.Equal((0, 1), (_ledger.Count, _ledger.Abandoned));
        Assert.Throws<InvalidOperationException>(() => pool.Return(buffer));
        Assert.Throws<InvalidOperationException>(() => pool.Abandon(buffer));
    }

    [Fact]
    public void No_bytes_on_their_way_are_rented_past_the_ledger()
    {
        var source = Path.Combine(Repository.Root, "src", "Millau");
        var found = Directory.EnumerateFiles(source, "*.cs", SearchOption.AllDirectories)
            .Where(f => File.ReadAllText(f).Contains("ArrayPool<byte>.Shared", StringComparison.Ordinal))
            .Select(f => Path.GetRelativePath(source, f));

        // A line of the access log has its arrays for the time of one call that waits for nothing, and a test counts its allocations.
        Assert.Equal(["Memory/BufferPool.cs", "Telemetry/Access/AccessLine.cs"], found.Order(StringComparer.Ordinal));
    }

    private BufferPool Pool() => new(ArrayPool<byte>.Create(), _ledger);
}
