using System.Text;
using Millau.Ingress;
using Millau.Tests.Wire.Http2;
using static Millau.Tests.Ingress.Http2.Http2Peer;

namespace Millau.Tests.Ingress.Http2;

/// <summary>What goes out together, and how heads are written.</summary>
public class Http2OutputTests
{
    [Fact]
    public async Task Answers_to_what_came_together_leave_together()
    {
        await using var peer = new Http2Peer(exchange => Answer(exchange));
        var before = peer.Writer.Flushes;

        peer.Send([.. Enumerable.Range(0, 50).Select(i => Head(2 * i + 1))]);

        Assert.Equal(1, peer.Writer.Flushes - before);
        var frames = peer.Receive();
        Assert.Equal(50, frames.Count(f => f.Ends));
        Assert.Equal(100, frames.Count);
    }

    [Fact]
    public async Task What_is_answered_while_a_flush_is_under_way_leaves_with_the_next()
    {
        var begin = new Gate();
        await using var peer = new Http2Peer(async exchange =>
        {
            if (exchange.Target != "/first") await begin;
            await Answer(exchange);
        });
        peer.Send([.. Enumerable.Range(1, 20).Select(i => Head(2 * i + 1))]);
        peer.Receive();
        peer.Writer.Hold();
        peer.Send(Head(101, Http2Client.Request(path: "/first")));
        var before = peer.Writer.Flushes;

        begin.Open();
        Assert.Equal(before, peer.Writer.Flushes);
        peer.Writer.LetGo();

        Assert.Equal(before + 1, peer.Writer.Flushes);
        Assert.Equal(21, peer.Receive().Count(f => f.Ends));
    }

    [Fact]
    public async Task A_flush_of_a_body_is_over_when_the_transport_has_it()
    {
        var flushed = false;
        await using var peer = new Http2Peer(async exchange =>
        {
            exchange.BeginHead(200);
            exchange.EndHead(-1, hasBody: true);
            exchange.Write("hello"u8);
            flushed = await exchange.FlushAsync();
        });

        peer.Writer.Hold();
        peer.Send(Head(1));
        Assert.False(flushed);
        peer.Writer.LetGo();

        Assert.True(flushed);
    }

    [Fact]
    public async Task A_client_that_does_not_read_is_not_read_either()
    {
        await using var peer = new Http2Peer(exchange => Answer(exchange));
        var ping = Http2Frame.Make(Http2Frame.Ping, 0, 0, new byte[8]);
        peer.Writer.Hold();
        peer.Send(ping);

        // 17 bytes each; what is read goes on until 64 KiB wait.
        for (var i = 0; i < 100; i++) peer.Send([.. Enumerable.Repeat(ping, 64)]);
        Assert.Single(peer.Receive());
        peer.Writer.LetGo();
        var pongs = 0;
        await Millau.Tests.Wire.Eventually.TrueAsync(() => (pongs += peer.Receive().Count) == 6400);
    }

    [Fact]
    public async Task A_head_that_does_not_fit_a_frame_goes_on_in_the_next()
    {
        var value = Encoding.Latin1.GetBytes(new string('a', 20_000));
        await using var peer = new Http2Peer(exchange =>
        {
            exchange.BeginHead(200);
            exchange.Field("x-a"u8, value);
            exchange.Field("X-B"u8, value);
            exchange.EndHead(-1, hasBody: false);
            return default;
        });

        peer.Send(Head(1));

        var frames = peer.Receive();
        Assert.Equal([Http2Frame.Headers, Http2Frame.Continuation, Http2Frame.Continuation], frames.Select(f => f.Type));
        Assert.Equal([1, 0, 4], frames.Select(f => (int)f.Flags));
        Assert.All(frames, f => Assert.InRange(f.Payload.Length, 1, 16384));
        var fields = HeaderBlockReader.Read(frames.SelectMany(f => f.Payload).ToArray());
        Assert.Equal([":status", "x-a", "x-b", "date"], fields.Select(f => f.Name));
        Assert.Equal(20_000, fields[2].Value.Length);
    }

    [Fact]
    public async Task An_answer_has_the_date_of_the_instance_or_else_one_of_the_server()
    {
        await using var peer = new Http2Peer(exchange =>
        {
            exchange.BeginHead(204);
            if (exchange.Target == "/dated") exchange.Field("Date"u8, "Sun, 06 Nov 1994 08:49:37 GMT"u8);
            exchange.EndHead(-1, hasBody: false);
            return default;
        });

        peer.Send(Head(1, Http2Client.Request(path: "/dated")), Head(3));

        var dates = peer.Receive().Select(f => HeaderBlockReader.Read(f.Payload).Single(p => p.Name == "date").Value).ToList();
        Assert.Equal(["Sun, 06 Nov 1994 08:49:37 GMT", peer.Time.GetUtcNow().ToString("r")], dates);
    }

    [Fact]
    public async Task An_answer_shorter_than_it_says_is_a_reset()
    {
        await using var peer = new Http2Peer(exchange =>
        {
            exchange.BeginHead(200);
            exchange.EndHead(10, hasBody: true);
            exchange.Write("short"u8);
            return default;
        });

        peer.Send(Head(1));

        var frames = peer.Receive();
        Assert.DoesNotContain(frames, f => f.Ends);
        Assert.Equal(Http2Error.InternalError, frames.Single(f => f.Type == Http2Frame.ResetStream).Number);
    }
}
