using System.Buffers;
using System.IO.Pipelines;
using System.Security.Authentication;

namespace Millau.Tests.Ingress;

/// <summary>What a client is told in TLS: how many records, when they leave, and who waits for whom.</summary>
public class TlsPipeWriterTests
{
    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task What_is_written_before_a_flush_is_one_record(SslProtocols version)
    {
        await using var pair = await TlsPair.StartAsync(version);
        pair.Writer.Write("head, "u8);
        pair.Writer.Write("body"u8);
        Assert.Equal(10, pair.Writer.UnflushedBytes);
        Assert.Equal(1, pair.Ledger.Count);

        var flush = await pair.Writer.FlushAsync();

        Assert.False(flush.IsCompleted);
        Assert.Equal(0, pair.Writer.UnflushedBytes);
        Assert.Equal(0, pair.Ledger.Count);
        Assert.Single(await RecordsAsync(pair));
        var got = await pair.ReceiveAsync(10);
        Assert.Equal("head, body"u8, got);
    }

    [Theory]
    [InlineData(16_000, 1)]
    [InlineData(64 * 1024, 4)]
    [InlineData(300_000, 20)]
    public async Task Much_arrives_whole_in_few_records_and_leaves_with_the_flush(int length, int mostRecords)
    {
        await using var pair = await TlsPair.StartAsync();
        var sent = new byte[length];
        new Random(5).NextBytes(sent);
        pair.Writer.Write(sent);
        Assert.False(pair.AtClient.TryRead(out _));
        Assert.True(pair.Writer.UnflushedBytes >= length);
        Assert.True(pair.Ledger.Count <= 1);
        await pair.Writer.FlushAsync().AsTask().WaitAsync(TlsPair.Deadline);
        Assert.InRange((await RecordsAsync(pair)).Count, 1, mostRecords);
        Assert.Equal(sent, await pair.ReceiveAsync(length));
    }

    [Fact]
    public async Task A_piece_larger_than_a_block_can_be_had()
    {
        await using var pair = await TlsPair.StartAsync();
        pair.Writer.Write("small"u8);
        var memory = pair.Writer.GetMemory(100_000);
        memory.Span[..100_000].Fill((byte)'x');
        pair.Writer.Advance(100_000);
        pair.Writer.Write("more"u8);
        await pair.Writer.FlushAsync();
        var got = await pair.ReceiveAsync(100_009);
        Assert.Equal("small"u8, got.AsSpan(0, 5));
        Assert.Equal("xmore"u8, got.AsSpan(100_004));
    }

    [Fact]
    public async Task A_client_that_does_not_read_makes_the_flush_wait_and_holds_no_block()
    {
        await using var pair = await TlsPair.StartAsync();
        var sent = new byte[2 * TlsPair.RoomToClient];
        pair.Writer.Write(sent);
        var flushing = pair.Writer.FlushAsync().AsTask();
        Assert.False(flushing.IsCompleted);
        Assert.Equal(0, pair.Ledger.Count);
        Assert.Equal(sent.Length, (await pair.ReceiveAsync(sent.Length)).Length);
        Assert.False((await flushing.WaitAsync(TlsPair.Deadline)).IsCompleted);
    }

    [Fact]
    public async Task A_waiting_flush_can_be_cancelled_and_what_follows_arrives_behind_it()
    {
        await using var pair = await TlsPair.StartAsync();
        var sent = new byte[2 * TlsPair.RoomToClient];
        pair.Writer.Write(sent);
        var flushing = pair.Writer.FlushAsync().AsTask();
        pair.Writer.CancelPendingFlush();
        Assert.True((await flushing.WaitAsync(TlsPair.Deadline)).IsCanceled);
        pair.Writer.Write("more"u8);
        flushing = pair.Writer.FlushAsync().AsTask();
        var got = await pair.ReceiveAsync(sent.Length + 4);
        Assert.Equal("more"u8, got.AsSpan(sent.Length));
        await flushing.WaitAsync(TlsPair.Deadline);
    }

    [Fact]
    public async Task A_token_ends_a_waiting_flush()
    {
        await using var pair = await TlsPair.StartAsync();
        using var cancellation = new CancellationTokenSource();
        pair.Writer.Write(new byte[2 * TlsPair.RoomToClient]);
        var flushing = pair.Writer.FlushAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => flushing.WaitAsync(TlsPair.Deadline));
    }

    [Fact]
    public async Task A_client_that_has_gone_completes_the_flush()
    {
        await using var pair = await TlsPair.StartAsync();
        await pair.AtClient.CompleteAsync();
        pair.Writer.Write("x"u8);
        Assert.True((await pair.Writer.FlushAsync()).IsCompleted);
    }

    [Fact]
    public async Task What_cannot_be_encrypted_fails_the_flush()
    {
        await using var pair = await TlsPair.StartAsync();
        await pair.Server.ShutdownAsync();
        pair.Writer.Write("x"u8);
        for (var i = 0; i < 2; i++) await Assert.ThrowsAsync<InvalidOperationException>(async () => await pair.Writer.FlushAsync());
        Assert.Equal(0, pair.Ledger.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_left_at_the_end_is_the_carriers_unless_there_is_a_reason(bool reason)
    {
        await using var pair = await TlsPair.StartAsync();
        pair.Writer.Write("last"u8);
        pair.Writer.Complete(reason ? new IOException("cut") : null);
        Assert.Equal(0, pair.Ledger.Count);
        await pair.Server.ShutdownAsync();
        await pair.Output.FlushAsync();
        Assert.Equal(reason ? "" : "last", System.Text.Encoding.ASCII.GetString(await pair.ReceiveAsync(100)));
    }

    // The lengths of the records that have arrived, and are left there.
    private static async Task<List<int>> RecordsAsync(TlsPair pair)
    {
        var read = await pair.AtClient.ReadAsync().AsTask().WaitAsync(TlsPair.Deadline);
        var bytes = read.Buffer.ToArray();
        pair.AtClient.AdvanceTo(read.Buffer.Start);
        var lengths = new List<int>();
        for (var at = 0; at < bytes.Length;)
        {
            Assert.Equal(23, bytes[at]);
            lengths.Add((bytes[at + 3] << 8) + bytes[at + 4]);
            at += 5 + lengths[^1];
        }
        return lengths;
    }
}
