using Microsoft.AspNetCore.Http;
using Millau.Ingress;
using Millau.Tests.Wire;
using Millau.Tests.Wire.Http2;
using static Millau.Tests.Ingress.Http2.Http2Peer;

namespace Millau.Tests.Ingress.Http2;

/// <summary>How connections end: in order, by time, or by force.</summary>
public class Http2EndTests
{
    private const uint RefusedStream = 7;

    [Fact]
    public async Task A_client_that_is_asked_to_leave_loses_no_stream_that_was_under_way()
    {
        var waiting = new Gate();
        await using var peer = new Http2Peer(async exchange =>
        {
            exchange.AskToLeave();
            await waiting;
            await Answer(exchange);
        });

        peer.Send(Head(1));
        var frames = peer.Receive();
        Assert.Equal((int.MaxValue, Http2Error.NoError), frames.Single(f => f.Type == Http2Frame.GoAway).GoAway);
        var ping = frames.Single(f => f.Type == Http2Frame.Ping);
        // Sent before the client has heard of it.
        peer.Send(Head(3));
        peer.Send(Http2Frame.Make(Http2Frame.Ping, Http2Frame.Ack, 0, ping.Payload));
        Assert.Equal((3, Http2Error.NoError), peer.Receive().Single(f => f.Type == Http2Frame.GoAway).GoAway);
        peer.Send(Head(5));
        Assert.Equal((5, RefusedStream), peer.Receive().Select(f => (f.Stream, f.Number)).Single());
        Assert.False(peer.Running.IsCompleted);
        waiting.Open();

        Assert.Equal([1, 3], peer.Receive().Where(f => f.Ends).Select(f => f.Stream));
        await peer.Running.WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
        Assert.False(peer.IsCut);
    }

    [Fact]
    public async Task A_client_that_does_not_say_what_is_under_way_is_given_two_seconds()
    {
        await using var peer = new Http2Peer(exchange =>
        {
            exchange.AskToLeave();
            return Answer(exchange);
        });
        peer.Send(Head(1));
        peer.Receive();

        peer.Pass(1);
        Assert.Empty(peer.Receive());
        peer.Pass(1);

        Assert.Equal(1, peer.Receive().Single(f => f.Type == Http2Frame.GoAway).GoAway.Last);
        await peer.Running.WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task An_idle_connection_is_closed_at_once_when_the_server_stops()
    {
        await using var peer = new Http2Peer(exchange => Answer(exchange));
        peer.Send(Head(1));
        peer.Receive();

        peer.Server.RequestClose();

        Assert.Equal((1, Http2Error.NoError), Assert.Single(peer.Receive()).GoAway);
        await peer.Running.WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_connection_without_streams_ends_after_its_time()
    {
        await using var peer = new Http2Peer(exchange => Answer(exchange), limits: new ClientLimits { Idle = TimeSpan.FromSeconds(10) });
        peer.Pass(9);
        peer.Send(Head(1));
        peer.Receive();
        peer.Pass(10);
        Assert.False(peer.Running.IsCompleted);

        peer.Pass(1);

        Assert.Equal(Http2Error.NoError, Assert.Single(peer.Receive()).GoAway.Reason);
        await peer.Running.WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_silent_client_with_a_stream_open_is_asked_and_cut_when_it_does_not_answer()
    {
        var waiting = new Gate();
        await using var peer = new Http2Peer(async _ => await waiting);
        peer.Send(Head(1));
        peer.Pass(60);
        var ping = Assert.Single(peer.Receive());
        peer.Send(Http2Frame.Make(Http2Frame.Ping, Http2Frame.Ack, 0, ping.Payload));
        peer.Pass(60);
        Assert.Equal(Http2Frame.Ping, Assert.Single(peer.Receive()).Type);
        peer.Pass(20);
        Assert.False(peer.IsCut);

        peer.Pass(1);

        Assert.True(peer.IsCut);
        waiting.Open();
    }

    [Fact]
    public async Task A_head_that_does_not_end_and_a_client_that_takes_nothing_are_cut()
    {
        await using var slow = new Http2Peer(exchange => Answer(exchange));
        slow.Send(Http2Frame.Make(Http2Frame.Headers, Http2Frame.EndStream, 1, Http2Client.Request().ToArray()));
        slow.Pass(30);
        Assert.False(slow.IsCut);
        slow.Pass(1);
        Assert.True(slow.IsCut);

        await using var full = new Http2Peer(exchange => Answer(exchange), window: 0);
        full.Send(Head(1));
        full.Pass(5);
        Assert.False(full.IsCut);
        full.Pass(1);
        Assert.True(full.IsCut);
    }

    [Fact]
    public async Task A_body_of_known_length_that_comes_too_slowly_fails_and_its_neighbours_do_not()
    {
        var failures = new List<Exception>();
        var limits = new ClientLimits { Body = TimeSpan.FromSeconds(10) };
        await using var peer = new Http2Peer(
            async exchange =>
            {
                try
                {
                    while (true)
                    {
                        var got = await exchange.Body.ReadAsync();
                        exchange.Body.AdvanceTo(got.Buffer.End);
                        if (got.IsCompleted) break;
                    }
                }
                catch (Exception e)
                {
                    failures.Add(e);
                    throw;
                }
            },
            limits: limits);
        peer.Send(Head(1, Http2Client.Request("POST").Add("content-length", "100"), end: false));
        peer.Send(Head(3, Http2Client.Request("POST"), end: false), Data(1, 5));

        peer.Pass(15);
        Assert.Empty(failures);
        peer.Pass(1);

        Assert.Equal(408, Assert.IsType<BadHttpRequestException>(Assert.Single(failures)).StatusCode);
        var frames = peer.Receive();
        Assert.Equal("408", frames.First(f => f.Stream == 1).Status);
        Assert.DoesNotContain(frames, f => f.Stream == 3);
    }
}
