using System.Buffers;
using System.IO.Pipelines;
using System.Security.Authentication;
using Millau.Ingress;

namespace Millau.Tests.Ingress;

/// <summary>What a client says in TLS: in whatever pieces it comes, cancelled while it is waited for, and to its end.</summary>
public class TlsPipeReaderTests
{
    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task A_record_is_read_wherever_it_is_split(SslProtocols version)
    {
        await using var pair = await TlsPair.StartAsync(version);
        for (var split = 1; ; split++)
        {
            var record = await pair.EncryptAsync("hello"u8.ToArray());
            if (split == record.Length) break;
            var reading = pair.Reader.ReadAsync().AsTask();
            await pair.GiveAsync(record.AsMemory(0, split));
            Assert.False(reading.IsCompleted);
            Assert.Equal(0, pair.Ledger.Count);
            await pair.GiveAsync(record.AsMemory(split));
            var read = await reading.WaitAsync(TlsPair.Deadline);
            Assert.Equal("hello"u8, read.Buffer.ToArray());
            Assert.False(read.IsCompleted);
            pair.Reader.AdvanceTo(read.Buffer.End);
            Assert.Equal(0, pair.Ledger.Count);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    [InlineData(10_000)]
    [InlineData(70_000)]
    public async Task Much_is_read_in_whatever_pieces_it_comes_and_is_consumed(int most)
    {
        await using var pair = await TlsPair.StartAsync();
        var random = new Random(most);
        var sent = new byte[Math.Min(300_000, most * 500)];
        random.NextBytes(sent);
        var records = await pair.EncryptAsync(sent);
        var giving = Task.Run(async () =>
        {
            for (var at = 0; at < records.Length;)
            {
                var piece = Math.Min(random.Next(1, most + 1), records.Length - at);
                await pair.GiveAsync(records.AsMemory(at, piece));
                at += piece;
            }
            await pair.GiveAsync(await pair.EncryptEndAsync());
        });

        var got = new List<byte>();
        while (true)
        {
            var read = await pair.Reader.ReadAsync().AsTask().WaitAsync(TlsPair.Deadline);
            // Takes some, looks at all: the rest must come again together with what is new.
            var take = read.Buffer.Slice(0, read.Buffer.Length - read.Buffer.Length / 3);
            got.AddRange(take.ToArray());
            pair.Reader.AdvanceTo(take.End, read.IsCompleted ? take.End : read.Buffer.End);
            if (read.IsCompleted && take.Length == read.Buffer.Length) break;
        }
        await giving;
        Assert.Equal(sent, got);
    }

    [Fact]
    public async Task What_is_not_examined_is_given_again_at_once()
    {
        await using var pair = await TlsPair.StartAsync();
        await pair.GiveAsync(await pair.EncryptAsync("abc"u8.ToArray()));
        var read = await pair.Reader.ReadAsync();
        pair.Reader.AdvanceTo(read.Buffer.GetPosition(1), read.Buffer.GetPosition(2));
        Assert.True(pair.Reader.TryRead(out read));
        Assert.Equal("bc"u8, read.Buffer.ToArray());
        pair.Reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        Assert.False(pair.Reader.TryRead(out _));
        await pair.GiveAsync(await pair.EncryptAsync("d"u8.ToArray()));
        read = await pair.Reader.ReadAsync();
        Assert.Equal("bcd"u8, read.Buffer.ToArray());
        pair.Reader.AdvanceTo(read.Buffer.End);
    }

    [Fact]
    public async Task Records_that_are_there_are_read_together()
    {
        await using var pair = await TlsPair.StartAsync();
        await pair.GiveAsync(await pair.EncryptAsync("one"u8.ToArray(), "two"u8.ToArray(), new byte[16_000]));
        var read = await pair.Reader.ReadAsync();
        Assert.Equal(16_006, read.Buffer.Length);
        Assert.True(read.Buffer.IsSingleSegment);
        pair.Reader.AdvanceTo(read.Buffer.End);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(20)]
    public async Task A_waiting_read_can_be_cancelled_and_the_next_one_goes_on(int given)
    {
        await using var pair = await TlsPair.StartAsync();
        var record = await pair.EncryptAsync("hello"u8.ToArray());
        await pair.GiveAsync(record.AsMemory(0, given));
        var reading = pair.Reader.ReadAsync().AsTask();
        pair.Reader.CancelPendingRead();
        Assert.True((await reading.WaitAsync(TlsPair.Deadline)).IsCanceled);

        reading = pair.Reader.ReadAsync().AsTask();
        Assert.False(reading.IsCompleted);
        await pair.GiveAsync(record.AsMemory(given));
        var read = await reading.WaitAsync(TlsPair.Deadline);
        Assert.False(read.IsCanceled);
        Assert.Equal("hello"u8, read.Buffer.ToArray());
        pair.Reader.AdvanceTo(read.Buffer.End);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_read_cancelled_beforehand_returns_at_once_with_what_is_there(bool hasData)
    {
        await using var pair = await TlsPair.StartAsync();
        var record = await pair.EncryptAsync("hello"u8.ToArray());
        if (hasData)
        {
            await pair.GiveAsync(record);
            pair.Reader.AdvanceTo((await pair.Reader.ReadAsync()).Buffer.Start);
        }
        pair.Reader.CancelPendingRead();
        Assert.True(pair.Reader.TryRead(out var read));
        Assert.True(read.IsCanceled);
        Assert.Equal(hasData ? 5 : 0, read.Buffer.Length);
        if (!hasData) await pair.GiveAsync(record);
        // What woke the carrier's reader is of no meaning any more.
        read = await pair.Reader.ReadAsync().AsTask().WaitAsync(TlsPair.Deadline);
        Assert.False(read.IsCanceled);
        Assert.Equal(5, read.Buffer.Length);
        pair.Reader.AdvanceTo(read.Buffer.End);
    }

    [Fact]
    public async Task A_read_cancelled_again_and_again_loses_nothing()
    {
        await using var pair = await TlsPair.StartAsync();
        var sent = new byte[200_000];
        new Random(4).NextBytes(sent);
        var records = await pair.EncryptAsync(sent);
        var over = false;
        var cancelling = Task.Run(() =>
        {
            while (!Volatile.Read(ref over)) pair.Reader.CancelPendingRead();
        });
        var giving = Task.Run(async () =>
        {
            for (var at = 0; at < records.Length; at += 999) await pair.GiveAsync(records.AsMemory(at, Math.Min(999, records.Length - at)));
        });
        var got = new List<byte>();
        while (got.Count < sent.Length)
        {
            var read = await pair.Reader.ReadAsync().AsTask().WaitAsync(TlsPair.Deadline);
            got.AddRange(read.Buffer.ToArray());
            pair.Reader.AdvanceTo(read.Buffer.End);
        }
        Volatile.Write(ref over, true);
        await cancelling;
        await giving;
        Assert.Equal(sent, got);
    }

    [Fact]
    public async Task A_token_ends_a_waiting_read()
    {
        await using var pair = await TlsPair.StartAsync();
        using var cancellation = new CancellationTokenSource();
        var reading = pair.Reader.ReadAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.WaitAsync(TlsPair.Deadline));
        await pair.GiveAsync(await pair.EncryptAsync("x"u8.ToArray()));
        pair.Reader.AdvanceTo((await pair.Reader.ReadAsync()).Buffer.End);
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task The_end_comes_with_close_notify_though_the_connection_stays(SslProtocols version)
    {
        await using var pair = await TlsPair.StartAsync(version);
        await pair.GiveAsync(await pair.EncryptAsync("last"u8.ToArray()));
        await pair.GiveAsync(await pair.EncryptEndAsync());
        var read = await pair.Reader.ReadAsync().AsTask().WaitAsync(TlsPair.Deadline);
        Assert.Equal("last"u8, read.Buffer.ToArray());
        Assert.True(read.IsCompleted);
        pair.Reader.AdvanceTo(read.Buffer.End);
        Assert.True((await pair.Reader.ReadAsync()).IsCompleted);
    }

    [Fact]
    public async Task A_connection_that_ends_between_records_is_an_end()
    {
        await using var pair = await TlsPair.StartAsync();
        var reading = pair.Reader.ReadAsync().AsTask();
        pair.End();
        var read = await reading.WaitAsync(TlsPair.Deadline);
        Assert.True(read.IsCompleted);
        Assert.True(read.Buffer.IsEmpty);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(20)]
    public async Task A_connection_that_ends_inside_a_record_has_failed(int given)
    {
        await using var pair = await TlsPair.StartAsync();
        var records = await pair.EncryptAsync("good"u8.ToArray(), "cut off"u8.ToArray());
        var first = (records[3] << 8) + records[4] + 5;
        await pair.GiveAsync(records.AsMemory(0, first + given));
        pair.End();
        await GoodThenFailedAsync(pair);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("\x17\x03\x03\x00\x16 that is not encrypted")]
    public async Task What_is_no_record_of_the_client_fails_when_all_before_it_is_read(string garbage)
    {
        await using var pair = await TlsPair.StartAsync();
        var record = await pair.EncryptAsync("good"u8.ToArray());
        await pair.GiveAsync((byte[])[.. record, .. System.Text.Encoding.Latin1.GetBytes(garbage)]);
        await GoodThenFailedAsync(pair);
    }

    [Fact]
    public async Task A_read_that_waits_inside_SslStream_can_be_cancelled_too()
    {
        await using var pair = await TlsPair.StartAsync();
        // Longer than a record can be: SslStream gets it as it comes, and waits for all of it.
        await pair.GiveAsync((byte[])[0x17, 3, 3, 0xff, 0xff, 1, 2, 3]);
        for (var i = 0; i < 2; i++)
        {
            var reading = pair.Reader.ReadAsync().AsTask();
            Assert.False(reading.IsCompleted);
            pair.Reader.CancelPendingRead();
            Assert.True((await reading.WaitAsync(TlsPair.Deadline)).IsCanceled);
        }
        pair.End();
        await Assert.ThrowsAsync<IOException>(() => pair.Reader.ReadAsync().AsTask().WaitAsync(TlsPair.Deadline));
    }

    [Fact]
    public async Task What_came_before_is_read_though_SslStream_waits_for_more_and_all_of_it_can_be_consumed()
    {
        await using var pair = await TlsPair.StartAsync();
        var record = await pair.EncryptAsync("good"u8.ToArray());
        await pair.GiveAsync((byte[])[.. record, 0x17, 3, 3, 0xff, 0xff, 1, 2, 3]);
        var read = await pair.Reader.ReadAsync().AsTask().WaitAsync(TlsPair.Deadline);
        Assert.Equal("good"u8, read.Buffer.ToArray());
        Assert.True(pair.Records.IsAsked);
        pair.Reader.AdvanceTo(read.Buffer.End);
        // SslStream may still write there.
        Assert.Equal(1, pair.Ledger.Count);
        var reading = pair.Reader.ReadAsync().AsTask();
        Assert.False(reading.IsCompleted);
        pair.End();
        await Assert.ThrowsAsync<IOException>(() => reading.WaitAsync(TlsPair.Deadline));
        Assert.Equal(0, pair.Ledger.Count);
    }

    [Fact]
    public async Task A_token_ends_a_waiting_read_and_the_next_one_goes_on()
    {
        await using var pair = await TlsPair.StartAsync();
        var record = await pair.EncryptAsync("hello"u8.ToArray());
        await pair.GiveAsync(record.AsMemory(0, 3));
        using var cancellation = new CancellationTokenSource();
        var reading = pair.Reader.ReadAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.WaitAsync(TlsPair.Deadline));
        await pair.GiveAsync(record.AsMemory(3));
        var read = await pair.Reader.ReadAsync().AsTask().WaitAsync(TlsPair.Deadline);
        Assert.Equal("hello"u8, read.Buffer.ToArray());
        pair.Reader.AdvanceTo(read.Buffer.End);
    }

    [Fact]
    public async Task A_completed_reader_gives_back_what_it_holds()
    {
        await using var pair = await TlsPair.StartAsync();
        await pair.GiveAsync(await pair.EncryptAsync("x"u8.ToArray()));
        await pair.Reader.ReadAsync();
        Assert.Equal(1, pair.Ledger.Count);
        pair.Reader.Complete();
        Assert.Equal(0, pair.Ledger.Count);
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await pair.Reader.ReadAsync());
    }

    private static async Task GoodThenFailedAsync(TlsPair pair)
    {
        var read = await pair.Reader.ReadAsync().AsTask().WaitAsync(TlsPair.Deadline);
        Assert.Equal("good"u8, read.Buffer.ToArray());
        Assert.False(read.IsCompleted);
        pair.Reader.AdvanceTo(read.Buffer.End);
        for (var i = 0; i < 2; i++) await Assert.ThrowsAsync<IOException>(() => pair.Reader.ReadAsync().AsTask().WaitAsync(TlsPair.Deadline));
    }
}
