using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Tests.Wire;
using Millau.Transport;

namespace Millau.Tests.Transport;

/// <summary>Bodies that pass inside the kernel from one socket to another, on two loops, and how that ends.</summary>
public sealed class SplicedCopyTests : IDisposable
{
    private static readonly TimeSpan Deadline = ScriptedConnection.Deadline;

    private readonly EventLoops _loops = new(NullLogger.Instance, 2);
    private readonly SplicePipes _pipes = new(most: 4);

    [Theory]
    [InlineData(1)]
    [InlineData(70_000)]
    [InlineData(5_000_000)]
    [InlineData(40_000_000)]
    public async Task A_body_passes_byte_for_byte(int size)
    {
        using var route = await Route.StartAsync(_loops);
        var sent = RandomBytes(size, seed: size);
        var copy = new SplicedCopy(_pipes);

        var copying = copy.RunAsync(route.Source, route.Target, size).AsTask();
        var sending = route.SendAsync(sent);

        Assert.Equal(sent, await route.ReceiveAsync(size));
        Assert.Equal(SpliceEnd.Done, await copying.WaitAsync(Deadline));
        Assert.Equal(size, copy.Copied);
        await sending;
    }

    [Fact]
    public async Task What_comes_in_small_pieces_passes_as_it_comes()
    {
        using var route = await Route.StartAsync(_loops);
        var copying = new SplicedCopy(_pipes).RunAsync(route.Source, route.Target, 2_000).AsTask();
        for (byte i = 0; i < 200; i++)
        {
            // The next is sent when this one is through: nothing waits for more to come.
            await route.SendAsync([i, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
            Assert.Equal([i, 1, 2, 3, 4, 5, 6, 7, 8, 9], await route.ReceiveAsync(10));
        }
        Assert.Equal(SpliceEnd.Done, await copying.WaitAsync(Deadline));
    }

    [Fact]
    public async Task More_packets_than_the_pipe_has_places_for_are_taken_in_several_rounds()
    {
        using var route = await Route.StartAsync(_loops);
        var sent = RandomBytes(3_000, seed: 3);
        foreach (var one in sent) await route.SendAsync([one]);

        var copying = new SplicedCopy(_pipes).RunAsync(route.Source, route.Target, sent.Length).AsTask();

        Assert.Equal(sent, await route.ReceiveAsync(sent.Length));
        Assert.Equal(SpliceEnd.Done, await copying.WaitAsync(Deadline));
    }

    [Fact]
    public async Task A_target_that_does_not_read_slows_the_source_and_gets_all_of_it()
    {
        using var route = await Route.StartAsync(_loops, smallBuffers: true);
        var sent = RandomBytes(8_000_000, seed: 4);
        var copying = new SplicedCopy(_pipes).RunAsync(route.Source, route.Target, sent.Length).AsTask();
        var sending = route.SendAsync(sent);
        // One byte is through, the rest is more than all buffers on its way hold.
        var first = await route.ReceiveAsync(1);
        Assert.False(sending.IsCompleted);

        byte[] all = [.. first, .. await route.ReceiveAsync(sent.Length - 1, most: 5_000)];
        Assert.Equal(sent, all);

        Assert.Equal(SpliceEnd.Done, await copying.WaitAsync(Deadline));
        await sending;
    }

    [Fact]
    public async Task What_follows_the_bytes_asked_for_is_left_with_the_source()
    {
        using var route = await Route.StartAsync(_loops);
        await route.SendAsync(RandomBytes(100_010, seed: 5));

        Assert.Equal(SpliceEnd.Done, await RunAsync(route, 100_000));

        var rest = new byte[100];
        while (!route.Source.MayReceive) await route.Source.WaitReadable();
        Assert.Equal(10, route.Source.Receive(rest));
    }

    [Fact]
    public async Task All_that_came_before_the_end_of_the_source_is_passed_on()
    {
        using var route = await Route.StartAsync(_loops);
        var sent = RandomBytes(300_000, seed: 6);
        var copying = RunAsync(route, long.MaxValue);
        await route.SendAsync(sent);
        route.Sender.Shutdown(SocketShutdown.Send);

        Assert.Equal(SpliceEnd.SourceEnded, await copying);
        Assert.Equal(sent, await route.ReceiveAsync(sent.Length));
        Assert.Equal(1, _pipes.Count);
    }

    [Fact]
    public async Task A_source_that_resets_in_the_middle_is_told_from_one_that_ends()
    {
        using var route = await Route.StartAsync(_loops);
        var copying = RunAsync(route, 1_000_000);
        await route.SendAsync(RandomBytes(1_000, seed: 7));
        await route.ReceiveAsync(1_000);
        route.Sender.Close(0);

        Assert.Equal(SpliceEnd.SourceFailed, await copying);
    }

    [Fact]
    public async Task A_target_that_resets_in_the_middle_ends_the_copy_and_the_pipe_is_not_used_again()
    {
        using var route = await Route.StartAsync(_loops, smallBuffers: true);
        var copying = RunAsync(route, 8_000_000);
        var sending = route.SendAsync(RandomBytes(8_000_000, seed: 8));
        await route.ReceiveAsync(1);
        route.Receiver.Close(0);

        Assert.Equal(SpliceEnd.TargetFailed, await copying);
        Assert.Equal(0, _pipes.Count);
        route.Source.Close(reset: true);
        await Assert.ThrowsAsync<SocketException>(() => sending);
    }

    [Fact]
    public async Task Closing_the_source_here_ends_a_copy_that_waits_for_it()
    {
        using var route = await Route.StartAsync(_loops);
        var copying = RunAsync(route, 1_000);
        Assert.False(copying.IsCompleted);
        route.Source.Close(reset: false);
        Assert.Equal(SpliceEnd.SourceFailed, await copying);
    }

    [Fact]
    public async Task Closing_the_target_here_ends_a_copy_that_waits_for_it()
    {
        using var route = await Route.StartAsync(_loops, smallBuffers: true);
        var copying = RunAsync(route, 8_000_000);
        var sending = route.SendAsync(RandomBytes(8_000_000, seed: 9));
        await route.ReceiveAsync(1);
        route.Target.Close(reset: false);
        Assert.Equal(SpliceEnd.TargetFailed, await copying);
        route.Source.Close(reset: true);
        await Assert.ThrowsAsync<SocketException>(() => sending);
    }

    [Fact]
    public async Task Where_the_kernel_does_not_splice_nothing_is_lost()
    {
        using var route = await Route.StartAsync(_loops);
        await route.SendAsync("whole"u8.ToArray());
        _pipes.Refuse();

        Assert.Equal(SpliceEnd.NotSplicable, await RunAsync(route, 5));

        var left = new byte[10];
        while (!route.Source.MayReceive) await route.Source.WaitReadable();
        Assert.Equal(5, route.Source.Receive(left));
    }

    [Fact]
    public async Task Many_copies_at_a_time_in_pieces_of_all_sizes_do_not_mix()
    {
        await Task.WhenAll(Enumerable.Range(0, 40).Select(async seed =>
        {
            using var route = await Route.StartAsync(_loops, smallBuffers: seed % 2 == 0);
            var copy = new SplicedCopy(_pipes);
            var random = new Random(seed);
            for (var body = 0; body < 5; body++)
            {
                var sent = RandomBytes(random.Next(1, 600_000), seed * 10 + body);
                var copying = copy.RunAsync(route.Source, route.Target, sent.Length).AsTask();
                var sending = Task.Run(async () =>
                {
                    for (var at = 0; at < sent.Length;)
                    {
                        var piece = Math.Min(random.Next(1, 50_000), sent.Length - at);
                        await route.SendAsync(sent[at..(at + piece)]);
                        at += piece;
                    }
                });
                Assert.Equal(sent, await route.ReceiveAsync(sent.Length, most: 1 + seed * 1_000));
                Assert.Equal(SpliceEnd.Done, await copying.WaitAsync(Deadline));
                await sending;
            }
        }));
        Assert.InRange(_pipes.Count, 1, 4);
    }

    public void Dispose()
    {
        _pipes.Dispose();
        _loops.Dispose();
    }

    private Task<SpliceEnd> RunAsync(Route route, long bytes) =>
        new SplicedCopy(_pipes).RunAsync(route.Source, route.Target, bytes).AsTask().WaitAsync(Deadline);

    private static byte[] RandomBytes(int count, int seed)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>Who sends, the two sockets between which is copied, and who receives.</summary>
    private sealed class Route : IDisposable
    {
        public required Socket Sender { get; init; }
        public required Watched Source { get; init; }
        public required Watched Target { get; init; }
        public required Socket Receiver { get; init; }

        public static async Task<Route> StartAsync(EventLoops loops, bool smallBuffers = false)
        {
            var (sender, source) = await ConnectAsync(smallBuffers);
            var (receiver, target) = await ConnectAsync(smallBuffers);
            var route = new Route
            {
                Sender = sender,
                Source = new Watched(source, loops.Next()),
                Target = new Watched(target, loops.Next()),
                Receiver = receiver,
            };
            Assert.True(route.Source.Start() && route.Target.Start());
            return route;
        }

        public async Task SendAsync(byte[] bytes)
        {
            for (var at = 0; at < bytes.Length;) at += await Sender.SendAsync(bytes.AsMemory(at)).AsTask().WaitAsync(Deadline);
        }

        public async Task<byte[]> ReceiveAsync(int count, int most = int.MaxValue)
        {
            using var deadline = new CancellationTokenSource(Deadline);
            var got = new byte[count];
            for (var at = 0; at < count;)
            {
                var received = await Receiver.ReceiveAsync(got.AsMemory(at, Math.Min(most, count - at)), deadline.Token);
                if (received == 0) return got[..at];
                at += received;
            }
            return got;
        }

        public void Dispose()
        {
            Source.Close(reset: false);
            Target.Close(reset: false);
            Sender.Dispose();
            Receiver.Dispose();
        }

        private static async Task<(Socket Far, Socket Near)> ConnectAsync(bool smallBuffers)
        {
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            if (smallBuffers)
                foreach (var socket in (Socket[])[listener, far])
                    socket.ReceiveBufferSize = socket.SendBufferSize = 32 * 1024;
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            await far.ConnectAsync(listener.LocalEndPoint!);
            var near = await listener.AcceptAsync();
            near.NoDelay = true;
            return (far, near);
        }
    }

    private sealed class Watched(Socket socket, EventLoop loop) : LoopSocket(socket.TakeDescriptor(), loop)
    {
        protected override void OnReadable() => throw new InvalidOperationException("Nobody asked for this.");

        protected override void OnWritable() => throw new InvalidOperationException("Nobody asked for this.");
    }
}
