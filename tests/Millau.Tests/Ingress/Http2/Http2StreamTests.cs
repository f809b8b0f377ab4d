using Microsoft.AspNetCore.Http;
using Millau.Ingress;
using Millau.Tests.Wire;
using Millau.Tests.Wire.Http2;
using static Millau.Tests.Ingress.Http2.Http2Peer;

namespace Millau.Tests.Ingress.Http2;

/// <summary>How streams begin and end, and what is left of them.</summary>
public class Http2StreamTests
{
    private const uint NoError = 0;
    private const uint RefusedStream = 7;
    private const uint EnhanceYourCalm = 11;

    [Fact]
    public async Task An_object_serves_another_stream_only_when_its_handler_has_returned_too()
    {
        var seen = new List<Exchange>();
        var waiting = new Gate();
        await using var peer = new Http2Peer(async exchange =>
        {
            seen.Add(exchange);
            Assert.False(exchange.IsGone);
            Assert.Equal(0, exchange.Status);
            Assert.Null(exchange.Trailers);
            if (exchange.Target == "/wait") await waiting;
            else await Answer(exchange);
        });

        peer.Send(Head(1, Http2Client.Request("POST", "/wait").Add("x-a", "b"), end: false));
        peer.Send(Head(1, new HeaderBlock().Add("x-t", "1")));
        peer.Send(Reset(1));
        Assert.True(seen[0].IsGone);
        peer.Send(Head(3));
        Assert.NotSame(seen[0], seen[1]);
        waiting.Open();
        peer.Send(Head(5), Head(7));

        Assert.Contains(seen[0], seen[2..]);
        Assert.All(seen, e => Assert.Equal(0, e.Fields.Count));
        Assert.Equal(3, peer.Receive().Count(f => f.Ends));
    }

    [Fact]
    public async Task A_stream_that_is_reset_at_once_is_never_handled()
    {
        var handled = 0;
        await using var peer = new Http2Peer(exchange =>
        {
            handled++;
            return Answer(exchange);
        });

        peer.Send(Head(1), Reset(1), Head(3));

        Assert.Equal(1, handled);
        Assert.All(peer.Receive(), f => Assert.Equal(3, f.Stream));
    }

    [Fact]
    public async Task Whoever_resets_on_and_on_is_cut()
    {
        await using var peer = new Http2Peer(exchange => Answer(exchange));
        for (var i = 0; i < 1000; i++) peer.Send(Head(2 * i + 1), Reset(2 * i + 1));
        Assert.DoesNotContain(peer.Receive(), f => f.Type == Http2Frame.GoAway);

        peer.Send(Head(2001), Reset(2001));

        Assert.Equal(EnhanceYourCalm, peer.Receive().Single(f => f.Type == Http2Frame.GoAway).GoAway.Reason);
        await peer.Running.WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData("window widened by nothing")]
    [InlineData("window too wide")]
    [InlineData("more data than said")]
    [InlineData("trailers that do not end")]
    [InlineData("no request")]
    [InlineData("too many fields")]
    [InlineData("data behind the end")]
    [InlineData("one stream too many")]
    public async Task Whoever_makes_the_server_reset_on_and_on_is_cut_too(string fault)
    {
        await using var peer = new Http2Peer(
            exchange => exchange.HasBody ? ReadAsync(exchange) : Answer(exchange), limits: new ClientLimits { Streams = fault == "one stream too many" ? 0 : 100 });

        for (var i = 0; i < 1000; i++) Fail(2 * i + 1);
        Assert.DoesNotContain(peer.Receive(), f => f.Type == Http2Frame.GoAway);
        Fail(2001);

        Assert.Equal(EnhanceYourCalm, peer.Receive().Single(f => f.Type == Http2Frame.GoAway).GoAway.Reason);
        await peer.Running.WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);

        void Fail(int stream)
        {
            var post = Http2Client.Request("POST");
            switch (fault)
            {
                case "window widened by nothing":
                    peer.Send(Head(stream), Grant(stream, 0));
                    break;
                case "window too wide":
                    peer.Send(Head(stream), Grant(stream, int.MaxValue));
                    break;
                case "more data than said":
                    peer.Send(Head(stream, post.Add("content-length", "1"), end: false), Data(stream, 2));
                    break;
                case "trailers that do not end":
                    peer.Send(Head(stream, post, end: false), Head(stream, new HeaderBlock().Add("x-a", "1"), end: false));
                    break;
                case "no request":
                    peer.Send(Head(stream, new HeaderBlock().Add(":method", "GET")));
                    break;
                case "too many fields":
                    var many = Http2Client.Request();
                    for (var i = 0; i < 101; i++) many.Add("x-a", "1");
                    peer.Send(Head(stream, many));
                    break;
                case "data behind the end":
                    peer.Send(Head(stream));
                    peer.Send(Data(stream, 1));
                    break;
                default:
                    peer.Send(Head(stream));
                    break;
            }
        }

        static async ValueTask ReadAsync(Exchange exchange)
        {
            await exchange.Body.ReadAsync();
            await Answer(exchange);
        }
    }

    [Fact]
    public async Task More_streams_than_may_be_open_are_refused_and_those_after_them_are_not()
    {
        var waiting = new Gate();
        await using var peer = new Http2Peer(
            async exchange =>
            {
                await waiting;
                await Answer(exchange);
            },
            limits: new ClientLimits { Streams = 2 });

        peer.Send(Head(1), Head(3), Head(5));
        Assert.Contains(peer.Receive(), f => f is { Type: Http2Frame.ResetStream, Stream: 5, Number: RefusedStream });
        waiting.Open();
        peer.Receive();
        peer.Send(Head(7));

        Assert.Contains(peer.Receive(), f => f is { Stream: 7, Ends: true });
    }

    [Fact]
    public async Task Requests_of_streams_that_were_reset_count_while_they_are_handled()
    {
        var waiting = new Gate();
        await using var peer = new Http2Peer(async _ => await waiting, limits: new ClientLimits { Streams = 2 });

        for (var stream = 1; stream < 9; stream += 2)
        {
            peer.Send(Head(stream));
            peer.Send(Reset(stream));
        }
        Assert.Empty(peer.Receive());
        peer.Send(Head(9));

        Assert.Contains(peer.Receive(), f => f is { Type: Http2Frame.ResetStream, Stream: 9, Number: RefusedStream });
        waiting.Open();
    }

    [Fact]
    public async Task A_handler_that_throws_is_logged_and_answered_for()
    {
        await using var peer = new Http2Peer(exchange =>
        {
            if (exchange.Target == "/bad") throw new BadHttpRequestException("bad", 408);
            if (exchange.Target == "/late")
            {
                exchange.BeginHead(200);
                exchange.EndHead(-1, hasBody: true);
            }
            throw new InvalidOperationException("broken");
        });

        peer.Send(Head(1), Head(3, Http2Client.Request(path: "/bad")), Head(5, Http2Client.Request(path: "/late")));

        var frames = peer.Receive();
        Assert.Equal("500", frames.Single(f => f.Stream == 1).Status);
        Assert.Equal("408", frames.Single(f => f.Stream == 3).Status);
        Assert.Equal(Http2Error.InternalError, frames.Single(f => f is { Stream: 5, Type: Http2Frame.ResetStream }).Number);
        Assert.Equal(2, peer.Log.Count("request failed"));
    }

    [Fact]
    public async Task A_head_larger_than_is_taken_is_answered_431_and_the_connection_goes_on()
    {
        await using var peer = new Http2Peer(exchange => Answer(exchange));
        var many = Http2Client.Request();
        for (var i = 0; i < 101; i++) many.Add($"x-{i}", "1");
        // In two frames, as it does not fit one.
        var large = Http2Client.Request().Add("x-a", new string('a', 20_000)).Add("x-b", new string('b', 20_000)).ToArray();

        peer.Send(
            Head(1, many),
            Http2Frame.Make(Http2Frame.Headers, 0, 3, large.AsSpan(0, 16384)),
            Http2Frame.Make(Http2Frame.Continuation, 0, 3, large.AsSpan(16384, 16384)),
            Http2Frame.Make(Http2Frame.Continuation, Http2Frame.EndHeaders, 3, large.AsSpan(32768)),
            Head(5));

        var frames = peer.Receive();
        Assert.Equal("431", frames.Single(f => f.Stream == 1).Status);
        Assert.Equal("431", frames.First(f => f.Stream == 3).Status);
        Assert.Equal(NoError, frames.Single(f => f is { Stream: 3, Type: Http2Frame.ResetStream }).Number);
        Assert.Contains(frames, f => f is { Stream: 5, Ends: true });
    }

    [Fact]
    public async Task Data_of_a_stream_that_was_reset_from_here_is_let_pass_and_of_any_other_closed_one_is_not()
    {
        await using var peer = new Http2Peer(exchange => Answer(exchange));

        // Answered before its end, so that it is reset; the other ended.
        peer.Send(Head(1, Http2Client.Request("POST"), end: false), Head(3));
        peer.Receive();
        peer.Send(Data(1, 10), Data(3, 10));

        var reset = Assert.Single(peer.Receive());
        Assert.Equal((Http2Frame.ResetStream, 3, 5u), (reset.Type, reset.Stream, reset.Number));
    }

    [Fact]
    public async Task When_the_client_goes_all_who_wait_are_told()
    {
        var failures = new List<Exception>();
        var gone = 0;
        var peer = new Http2Peer(
            async exchange =>
            {
                exchange.OnGone(() => gone++);
                try
                {
                    if (exchange.HasBody)
                    {
                        await exchange.Body.ReadAsync();
                        return;
                    }
                    exchange.BeginHead(200);
                    exchange.EndHead(-1, hasBody: true);
                    exchange.Write(new byte[1000]);
                    if (!await exchange.FlushAsync()) throw new IOException("not sent");
                }
                catch (IOException e)
                {
                    failures.Add(e);
                    throw;
                }
            },
            window: 10);
        await using (peer)
        {
            peer.Send(Head(1, Http2Client.Request("POST"), end: false), Head(3));
            Assert.Empty(failures);
        }

        Assert.Equal((2, 2), (failures.Count, gone));
    }

    [Fact]
    public async Task A_client_that_waits_to_be_asked_for_the_body_is_asked_when_it_is_read()
    {
        var read = new Gate();
        await using var peer = new Http2Peer(async exchange =>
        {
            await read;
            var got = await exchange.Body.ReadAsync();
            exchange.Body.AdvanceTo(got.Buffer.End);
            await Answer(exchange);
        });
        peer.Send(Head(1, Http2Client.Request("POST").Add("content-length", "4").Add("expect", "100-continue"), end: false));
        Assert.Empty(peer.Receive());

        read.Open();

        Assert.Equal("100", Assert.Single(peer.Receive()).Status);
        peer.Send(Data(1, 4, end: true));
        Assert.Contains(peer.Receive(), f => f is { Stream: 1, Ends: true });
    }
}
