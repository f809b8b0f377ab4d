using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Tests.Wire;
using Millau.Transport;

namespace Millau.Tests.Transport;

/// <summary>A client's connection on an event loop: what it hears, what it says, and how it ends.</summary>
public class LoopConnectionTests
{
    private static readonly TimeSpan Deadline = ScriptedConnection.Deadline;

    [Fact]
    public async Task What_a_client_sends_is_read_in_whatever_pieces_it_comes()
    {
        await using var pair = await Pair.StartAsync();
        var sent = RandomBytes(300_000, seed: 1);
        var random = new Random(2);
        var sending = Task.Run(async () =>
        {
            for (var at = 0; at < sent.Length;)
            {
                var piece = Math.Min(random.Next(1, 20_000), sent.Length - at);
                await pair.Client.SendAsync(sent.AsMemory(at, piece));
                at += piece;
            }
            pair.Client.Shutdown(SocketShutdown.Send);
        });

        var got = new List<byte>();
        while (true)
        {
            var read = await pair.Input.ReadAsync().AsTask().WaitAsync(Deadline);
            // Takes some, looks at all: the rest must come again together with what is new.
            var take = read.Buffer.Slice(0, read.Buffer.Length - read.Buffer.Length / 3);
            got.AddRange(take.ToArray());
            pair.Input.AdvanceTo(take.End, read.IsCompleted ? take.End : read.Buffer.End);
            if (read.IsCompleted && take.Length == read.Buffer.Length) break;
        }
        await sending;

        Assert.Equal(sent, got);
    }

    [Fact]
    public async Task Nothing_is_held_of_the_pool_while_a_connection_is_idle()
    {
        await using var pair = await Pair.StartAsync();
        for (var i = 0; i < 3; i++)
        {
            var reading = pair.Input.ReadAsync().AsTask();
            Assert.Equal(0, pair.Pool.Rented);
            await pair.Client.SendAsync("ping"u8.ToArray());
            var read = await reading.WaitAsync(Deadline);
            Assert.Equal(4, read.Buffer.Length);
            pair.Input.AdvanceTo(read.Buffer.End);
            pair.Output.Write("pong"u8);
            await pair.Output.FlushAsync();
            Assert.Equal(0, pair.Pool.Rented);
        }
        Assert.Equal(12, await pair.ReceiveAsync(12));
    }

    [Fact]
    public async Task A_waiting_read_can_be_cancelled_and_the_next_one_goes_on()
    {
        await using var pair = await Pair.StartAsync();
        var reading = pair.Input.ReadAsync().AsTask();
        pair.Input.CancelPendingRead();
        Assert.True((await reading.WaitAsync(Deadline)).IsCanceled);

        await pair.Client.SendAsync("x"u8.ToArray());
        var read = await pair.Input.ReadAsync().AsTask().WaitAsync(Deadline);
        Assert.False(read.IsCanceled);
        Assert.Equal(1, read.Buffer.Length);
    }

    [Fact]
    public async Task A_read_cancelled_beforehand_returns_at_once()
    {
        await using var pair = await Pair.StartAsync();
        pair.Input.CancelPendingRead();
        var reading = pair.Input.ReadAsync();
        Assert.True(reading.IsCompleted);
        Assert.True((await reading).IsCanceled);
    }

    [Fact]
    public async Task A_token_ends_a_waiting_read()
    {
        await using var pair = await Pair.StartAsync();
        using var cancellation = new CancellationTokenSource();
        var reading = pair.Input.ReadAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.WaitAsync(Deadline));
    }

    [Fact]
    public async Task The_end_of_the_client_is_the_end_of_reading_and_is_said()
    {
        await using var pair = await Pair.StartAsync();
        var reading = pair.Input.ReadAsync().AsTask();
        pair.Client.Shutdown(SocketShutdown.Send);
        Assert.True((await reading.WaitAsync(Deadline)).IsCompleted);
        await pair.ClosedAsync();
    }

    [Fact]
    public async Task A_client_that_goes_is_noticed_while_nobody_reads()
    {
        await using var pair = await Pair.StartAsync();
        pair.Client.Close(0);
        await pair.ClosedAsync();
        await Assert.ThrowsAsync<ConnectionResetException>(async () => await pair.Input.ReadAsync());
    }

    [Fact]
    public async Task An_abort_ends_what_waits_and_resets_the_client()
    {
        await using var pair = await Pair.StartAsync();
        var reading = pair.Input.ReadAsync().AsTask();
        pair.Output.Write(RandomBytes(16_000_000, seed: 3));
        var flushing = pair.Output.FlushAsync().AsTask();
        Assert.False(flushing.IsCompleted);

        pair.Connection.Abort(new ConnectionAbortedException("enough"));

        await Assert.ThrowsAsync<ConnectionAbortedException>(() => reading.WaitAsync(Deadline));
        Assert.True((await flushing.WaitAsync(Deadline)).IsCompleted);
        await pair.ClosedAsync();
        await Assert.ThrowsAsync<SocketException>(() => pair.ReceiveAsync(32_000_000));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(70_000)]
    [InlineData(20_000_000)]
    public async Task A_flush_is_over_when_the_kernel_has_all_of_it(int size)
    {
        await using var pair = await Pair.StartAsync();
        var sent = RandomBytes(size, seed: size);
        var random = new Random(size);
        var receiving = pair.ReceiveAllAsync(size);
        for (var at = 0; at < size;)
        {
            var piece = Math.Min(random.Next(1, 200_000), size - at);
            pair.Output.Write(sent.AsSpan(at, piece));
            at += piece;
            if (random.Next(4) == 0) Assert.False((await pair.Output.FlushAsync().AsTask().WaitAsync(Deadline)).IsCompleted);
        }
        await pair.Output.FlushAsync().AsTask().WaitAsync(Deadline);

        Assert.Equal(sent, await receiving);
        Assert.Equal(0, pair.Pool.Rented);
        Assert.Equal(0, pair.Output.UnflushedBytes);
    }

    [Fact]
    public async Task A_client_that_does_not_read_makes_the_flush_wait_until_it_does()
    {
        await using var pair = await Pair.StartAsync();
        pair.Output.Write(RandomBytes(16_000_000, seed: 4));
        var flushing = pair.Output.FlushAsync().AsTask();
        Assert.False(flushing.IsCompleted);
        await pair.ReceiveAsync(16_000_000);
        Assert.False((await flushing.WaitAsync(Deadline)).IsCompleted);
    }

    [Fact]
    public async Task A_waiting_flush_can_be_cancelled_and_goes_on_with_the_next()
    {
        await using var pair = await Pair.StartAsync();
        var sent = RandomBytes(16_000_000, seed: 5);
        pair.Output.Write(sent);
        var flushing = pair.Output.FlushAsync().AsTask();
        pair.Output.CancelPendingFlush();
        Assert.True((await flushing.WaitAsync(Deadline)).IsCanceled);
        var receiving = pair.ReceiveAllAsync(sent.Length);
        await pair.Output.FlushAsync().AsTask().WaitAsync(Deadline);
        Assert.Equal(sent, await receiving);
    }

    [Fact]
    public async Task Writing_to_a_client_that_has_gone_says_that_it_is_over()
    {
        await using var pair = await Pair.StartAsync();
        pair.Client.Close(0);
        await pair.ClosedAsync();
        pair.Output.Write("late"u8);
        Assert.True((await pair.Output.FlushAsync()).IsCompleted);
    }

    [Fact]
    public async Task What_was_flushed_arrives_though_the_connection_is_closed_at_once()
    {
        await using var pair = await Pair.StartAsync();
        pair.Output.Write("bye"u8);
        await pair.Output.FlushAsync();
        await pair.Connection.DisposeAsync();
        await pair.ClosedAsync();
        Assert.Equal("bye"u8.ToArray(), await pair.ReceiveAllAsync(3));
        Assert.Equal(0, await pair.Client.ReceiveAsync(new byte[1]));
    }

    [Theory]
    [InlineData("asked for")]
    [InlineData("written")]
    [InlineData("completed with a failure")]
    [InlineData("more than the client takes")]
    [InlineData("flush under way")]
    [InlineData("flush cancelled")]
    public async Task A_connection_that_is_closed_holds_nothing_of_the_pool(string left)
    {
        await using var pair = await Pair.StartAsync();
        var much = left is "more than the client takes" or "flush under way" or "flush cancelled";
        if (left == "asked for") pair.Output.GetMemory(100);
        else pair.Output.Write(new byte[much ? 16_000_000 : 100]);
        if (left == "completed with a failure") await pair.Output.CompleteAsync(new IOException("enough"));
        var flushing = left.StartsWith("flush", StringComparison.Ordinal) ? pair.Output.FlushAsync().AsTask() : Task.CompletedTask;
        if (left == "flush cancelled") pair.Output.CancelPendingFlush();

        await pair.Connection.DisposeAsync();

        await flushing.WaitAsync(Deadline);
        await Eventually.TrueAsync(() => pair.Pool.Rented == 0, $"{pair.Pool.Rented} blocks are out");
    }

    [Fact]
    public async Task Many_connections_on_two_loops_echo_what_each_was_sent()
    {
        using var loops = new EventLoops(NullLogger.Instance, 2);
        await Task.WhenAll(Enumerable.Range(0, 40).Select(async seed =>
        {
            await using var pair = await Pair.StartAsync(loops);
            var echoing = pair.EchoAsync();
            var random = new Random(seed);
            for (var i = 0; i < 50; i++)
            {
                var sent = RandomBytes(random.Next(1, 100_000), seed * 100 + i);
                var sending = Task.Run(async () => await pair.Client.SendAsync(sent));
                Assert.Equal(sent, await pair.ReceiveAllAsync(sent.Length));
                await sending;
            }
            pair.Client.Shutdown(SocketShutdown.Send);
            await echoing.WaitAsync(Deadline);
            Assert.Equal(0, pair.Pool.Rented);
        }));
    }

    private static byte[] RandomBytes(int count, int seed)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>A client's plain socket and the connection that a loop serves.</summary>
    private sealed class Pair(Socket client, LoopConnection connection, CountingPool pool, EventLoops? own) : IAsyncDisposable
    {
        public Socket Client => client;
        public LoopConnection Connection => connection;
        public CountingPool Pool => pool;
        public PipeReader Input => connection.Input;
        public PipeWriter Output => connection.Output;

        public static async Task<Pair> StartAsync(EventLoops? loops = null)
        {
            var own = loops is null ? new EventLoops(NullLogger.Instance, 1) : null;
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await client.ConnectAsync(listener.LocalEndPoint!);
            var pool = new CountingPool();
            var connection = new LoopConnection((await listener.AcceptAsync()).TakeDescriptor(), null, (loops ?? own)!.Next(), pool);
            var begun = new Begun();
            connection.Start(begun);
            await begun.Task.WaitAsync(Deadline);
            return new Pair(client, connection, pool, own);
        }

        public async Task ClosedAsync()
        {
            var closed = new TaskCompletionSource();
            using var registration = connection.ConnectionClosed.Register(() => closed.TrySetResult());
            await closed.Task.WaitAsync(Deadline);
        }

        public async Task EchoAsync()
        {
            while (true)
            {
                var read = await Input.ReadAsync();
                foreach (var memory in read.Buffer) Output.Write(memory.Span);
                Input.AdvanceTo(read.Buffer.End);
                await Output.FlushAsync();
                if (read.IsCompleted) return;
            }
        }

        public async Task<int> ReceiveAsync(int count) => (await ReceiveAllAsync(count)).Length;

        public async Task<byte[]> ReceiveAllAsync(int count)
        {
            using var deadline = new CancellationTokenSource(Deadline);
            var got = new byte[count];
            for (var at = 0; at < count;)
            {
                var received = await client.ReceiveAsync(got.AsMemory(at), deadline.Token);
                if (received == 0) return got[..at];
                at += received;
            }
            return got;
        }

        public async ValueTask DisposeAsync()
        {
            await connection.DisposeAsync();
            client.Dispose();
            own?.Dispose();
            // Those who share loops may still be woken on them.
            if (own is not null) Assert.Equal(0, pool.Rented);
        }
    }

    /// <summary>Counts the blocks that are out; a block given back twice is an error.</summary>
    private sealed class CountingPool : MemoryPool<byte>
    {
        private int _rented;

        public int Rented => Volatile.Read(ref _rented);

        public override int MaxBufferSize => 64 * 1024;

        public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
        {
            Interlocked.Increment(ref _rented);
            return new Block(this);
        }

        protected override void Dispose(bool disposing)
        {
        }

        private sealed class Block(CountingPool pool) : IMemoryOwner<byte>
        {
            private int _returned;

            public Memory<byte> Memory { get; } = GC.AllocateUninitializedArray<byte>(64 * 1024, pinned: true);

            public void Dispose()
            {
                Assert.Equal(0, Interlocked.Exchange(ref _returned, 1));
                Interlocked.Decrement(ref pool._rented);
            }
        }
    }
}
