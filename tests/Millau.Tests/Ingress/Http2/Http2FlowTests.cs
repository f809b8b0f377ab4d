using Millau.Ingress;
using Millau.Tests.Wire.Http2;
using static Millau.Tests.Ingress.Http2.Http2Peer;

namespace Millau.Tests.Ingress.Http2;

/// <summary>Windows, both ways, and who sends when.</summary>
public class Http2FlowTests
{
    private const uint FlowControlError = 3;

    [Fact]
    public async Task A_body_goes_as_far_as_its_window_and_on_when_it_is_widened()
    {
        await using var peer = new Http2Peer(exchange => Large(exchange, 1000), window: 100);

        peer.Send(Head(1));
        Assert.Equal(100, Bytes(peer.Receive(), 1));
        peer.Send(Grant(1, 1));
        Assert.Equal(1, Bytes(peer.Receive(), 1));
        peer.Send(Grant(1, 899));

        var rest = peer.Receive();
        Assert.Equal(899, Bytes(rest, 1));
        Assert.True(rest[^1].Ends);
    }

    [Fact]
    public async Task The_window_of_the_connection_bounds_all_streams_together_and_an_end_needs_none()
    {
        var empty = new Gate();
        await using var peer = new Http2Peer(async exchange =>
        {
            if (exchange.Target == "/large")
            {
                await Large(exchange, 50_000);
                return;
            }
            exchange.BeginHead(200);
            exchange.EndHead(-1, hasBody: true);
            await empty;
        });

        peer.Send(Head(1, Http2Client.Request(path: "/large")), Head(3, Http2Client.Request(path: "/large")), Head(5));
        var frames = peer.Receive();
        Assert.Equal(65535, Bytes(frames, 1) + Bytes(frames, 3));
        empty.Open();
        Assert.Single(peer.Receive(), f => f is { Stream: 5, Ends: true });
        peer.Send(Grant(0, 40_000));

        Assert.Equal(100_000 - 65535, peer.Receive().Sum(f => f.Type == Http2Frame.Data ? f.Payload.Length : 0));
    }

    [Fact]
    public async Task Streams_with_much_to_send_take_turns()
    {
        var begin = new Gate();
        await using var peer = new Http2Peer(
            async exchange =>
            {
                await begin;
                await Large(exchange, 64 * 1024);
            },
            window: 1 << 20);
        peer.Send(Grant(0, 1 << 20), Head(1), Head(3), Head(5));
        peer.Receive();

        // The first of them has the connection for itself until its flush is over.
        peer.Writer.Hold();
        begin.Open();
        peer.Writer.LetGo();

        var data = peer.Receive().Where(f => f is { Type: Http2Frame.Data, Payload.Length: > 0 }).ToList();
        Assert.Equal(3 * 64 * 1024, data.Sum(f => f.Payload.Length));
        var order = data.Select(f => f.Stream).ToList();
        Assert.Equal([3, 5, 3, 5], order.SkipWhile(s => s == 1).Take(4));
    }

    [Fact]
    public async Task A_smaller_initial_window_makes_those_of_open_streams_smaller_even_below_zero()
    {
        await using var peer = new Http2Peer(exchange => Large(exchange, 1000), window: 100);
        peer.Send(Head(1));
        Assert.Equal(100, Bytes(peer.Receive(), 1));

        peer.Send(Settings((Http2Setting.InitialWindowSize, 50)));
        peer.Send(Grant(1, 50));
        Assert.Equal(0, Bytes(peer.Receive(), 1));
        peer.Send(Grant(1, 10));
        Assert.Equal(10, Bytes(peer.Receive(), 1));
        peer.Send(Settings((Http2Setting.InitialWindowSize, 70)));

        Assert.Equal(20, Bytes(peer.Receive(), 1));
    }

    [Fact]
    public async Task A_window_beyond_its_limit_ends_the_stream_or_the_connection()
    {
        await using var peer = new Http2Peer(exchange => Large(exchange, 1000), window: 100);
        peer.Send(Head(1), Grant(1, int.MaxValue));
        peer.Receive();
        peer.Send(Head(3), Grant(3, int.MaxValue), Grant(3, int.MaxValue));
        Assert.Contains(peer.Receive(), f => f is { Type: Http2Frame.ResetStream, Stream: 3, Number: FlowControlError });

        peer.Send(Grant(0, int.MaxValue));
        Assert.Equal(FlowControlError, peer.Receive().Single(f => f.Type == Http2Frame.GoAway).GoAway.Reason);
        await peer.Running.WaitAsync(Millau.Tests.Wire.ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task More_than_was_granted_ends_the_connection()
    {
        var never = new Gate();
        await using var peer = new Http2Peer(async _ => await never);
        peer.Send(Head(1, Http2Client.Request("POST"), end: false));

        for (var i = 0; i < 32; i++) peer.Send(Data(1, 16384));
        Assert.DoesNotContain(peer.Receive(), f => f.Type == Http2Frame.GoAway);
        peer.Send(Data(1, 1));

        Assert.Equal(FlowControlError, peer.Receive().Single(f => f.Type == Http2Frame.GoAway).GoAway.Reason);
        never.Open();
    }

    [Fact]
    public async Task What_nobody_reads_is_granted_again_on_the_connection_when_its_stream_is_over()
    {
        await using var peer = new Http2Peer(exchange => Answer(exchange));
        var granted = 0L;
        for (var stream = 1; stream < 200; stream += 2)
        {
            // Padding counts too.
            var padded = Http2Frame.Make(Http2Frame.Data, 8, stream, [9, .. new byte[1000 + 9]]);
            peer.Send(Head(stream, Http2Client.Request("POST"), end: false), Data(stream, 16384), padded);
            granted += peer.Receive().Where(f => f is { Type: Http2Frame.WindowUpdate, Stream: 0 }).Sum(f => f.Number);
        }

        Assert.InRange(granted, 100 * (16384 + 1010) - 768 * 1024 / 2, 100 * (16384 + 1010));
    }

    [Fact]
    public async Task A_body_that_is_read_is_granted_again_in_large_portions()
    {
        var read = 0L;
        await using var peer = new Http2Peer(async exchange =>
        {
            while (true)
            {
                var got = await exchange.Body.ReadAsync();
                read += got.Buffer.Length;
                exchange.Body.AdvanceTo(got.Buffer.End);
                if (got.IsCompleted) break;
            }
            await Answer(exchange);
        });
        peer.Send(Head(1, Http2Client.Request("PUT"), end: false));
        var updates = new List<Received>();
        for (var i = 0; i < 64; i++)
        {
            peer.Send(Data(1, 16384));
            updates.AddRange(peer.Receive().Where(f => f.Type == Http2Frame.WindowUpdate));
        }
        peer.Send(Data(1, 0, end: true));

        Assert.Equal(1 << 20, read);
        Assert.Equal(1 << 20, updates.Where(f => f.Stream == 1).Sum(f => f.Number));
        Assert.InRange(updates.Count, 3, 8);
        Assert.Contains(peer.Receive(), f => f is { Stream: 1, Ends: true });
    }

    [Fact]
    public async Task What_is_not_read_of_several_bodies_is_bounded_by_the_window_of_the_connection_again_and_again()
    {
        const int window = 768 * 1024;
        var handlers = new Dictionary<string, Reader>();
        await using var peer = new Http2Peer(exchange =>
        {
            var reader = new Reader(exchange);
            handlers.Add(exchange.Target, reader);
            return reader.RunAsync();
        });
        peer.Send(Head(1, Http2Client.Request("POST", "/1"), end: false), Head(3, Http2Client.Request("POST", "/3"), end: false));
        var (sent, granted) = (0L, 65535L);

        for (var round = 0; round < 4; round++)
        {
            // As much as there is room for, in turn; the first frame from the server says how much that is.
            for (var stream = 1; ; stream = 4 - stream)
            {
                granted += peer.Receive().Where(f => f is { Type: Http2Frame.WindowUpdate, Stream: 0 }).Sum(f => f.Number);
                if (sent == 0) granted = window;
                var piece = (int)Math.Min(16384, granted - sent);
                if (piece == 0) break;
                peer.Send(Data(stream, piece));
                sent += piece;
            }
            Assert.Equal(window, sent - handlers.Values.Sum(h => h.Taken));
            Assert.False(peer.IsCut);
            foreach (var reader in handlers.Values) reader.TakeAll();
            Assert.Equal(sent, handlers.Values.Sum(h => h.Taken));
        }
        peer.Send(Data(1, 0, end: true), Data(3, 0, end: true));
        foreach (var reader in handlers.Values) reader.TakeAll();

        Assert.Equal([1, 3], peer.Receive().Where(f => f.Ends).Select(f => f.Stream).Order());
    }

    // Takes of a body what there is, when it is told to.
    private sealed class Reader(Exchange exchange)
    {
        private readonly Gate _over = new();

        public long Taken { get; private set; }

        public async ValueTask RunAsync()
        {
            await _over;
            await Answer(exchange);
        }

        public void TakeAll()
        {
            while (exchange.Body.TryRead(out var read))
            {
                Taken += read.Buffer.Length;
                exchange.Body.AdvanceTo(read.Buffer.End);
                if (!read.IsCompleted) continue;
                _over.Open();
                return;
            }
        }
    }

    private static int Bytes(List<Received> frames, int stream) =>
        frames.Where(f => f.Type == Http2Frame.Data && f.Stream == stream).Sum(f => f.Payload.Length);

    private static async ValueTask Large(Exchange exchange, int length)
    {
        exchange.BeginHead(200);
        exchange.EndHead(length, hasBody: true);
        exchange.Write(new byte[length]);
        await exchange.FlushAsync();
    }
}
