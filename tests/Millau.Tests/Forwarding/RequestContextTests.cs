using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Transport;
using Millau.Upstreams;

namespace Millau.Tests.Forwarding;

/// <summary>What a client that goes takes with it, and what not.</summary>
public sealed class RequestContextTests : IDisposable
{
    private readonly EventLoops _loops = new(NullLogger.Instance, 1);
    private readonly UpstreamHeartbeat _heartbeat = new(TimeProvider.System);
    private readonly UpstreamInstance _instance;

    public RequestContextTests()
    {
        // Nobody listens there.
        _instance = new UpstreamInstance("1", "one", new IPEndPoint(IPAddress.Loopback, 1), _heartbeat);
        _instance.Service = new UpstreamService("app", TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(60), [_instance], false);
    }

    [Fact]
    public async Task Who_goes_cuts_what_is_held()
    {
        var (context, exchange) = Begin();
        using var connection = Connection();
        Assert.True(context.Hold(connection));

        exchange.Abort();

        Assert.True(await IsCutAsync(connection));
        Assert.True(context.ClientGone);
    }

    [Fact]
    public async Task Who_goes_does_not_touch_what_was_let_go()
    {
        var (context, exchange) = Begin();
        using var connection = Connection();
        Assert.True(context.Hold(connection));
        context.LetGo();

        exchange.Abort();

        Assert.False(await IsCutAsync(connection));
        Assert.False(context.Hold(connection));
    }

    [Fact]
    public void Who_had_gone_before_the_first_request_is_known_to_be_gone()
    {
        var exchange = Exchange();
        exchange.Abort();

        var context = new RequestContext(exchange);
        context.Begin();

        Assert.True(context.ClientGone);
        Assert.True(context.ClientGoneToken.IsCancellationRequested);
    }

    [Fact]
    public void Who_goes_in_a_later_request_is_told_of_too()
    {
        var (context, exchange) = Begin();
        context.End();
        context.Begin();
        Assert.False(context.ClientGoneToken.IsCancellationRequested);
        var token = context.ClientGoneToken;

        exchange.Abort();

        Assert.True(token.IsCancellationRequested);
    }

    // Either it was let go first, and is whole, or who has gone is seen to be gone, so that no other request gets it.
    [Fact]
    public async Task A_connection_that_is_let_go_of_while_the_client_goes_is_whole_or_given_to_nobody()
    {
        for (var i = 0; i < 2000; i++)
        {
            var (context, exchange) = Begin();
            using var connection = Connection();
            var going = GoAsync(exchange, i);
            var held = context.Hold(connection);
            context.LetGo();
            var isGone = context.ClientGone;
            await going;

            Assert.True(held || isGone);
            if (!isGone) Assert.False(await IsCutAsync(connection));
        }
    }

    [Fact]
    public async Task Who_goes_while_somebody_begins_to_hold_or_to_wait_is_never_missed()
    {
        for (var i = 0; i < 2000; i++)
        {
            var (context, exchange) = Begin();
            using var connection = Connection();
            var going = GoAsync(exchange, i);
            var held = context.Hold(connection);
            var token = context.ClientGoneToken;
            await going;

            Assert.True(!held || await IsCutAsync(connection));
            Assert.True(token.IsCancellationRequested);
        }
    }

    public void Dispose()
    {
        _heartbeat.Dispose();
        _loops.Dispose();
    }

    private static ImaginedExchange Exchange() => new(new ClientPeer(IPAddress.Loopback), "GET", "/");

    private static (RequestContext, ImaginedExchange) Begin()
    {
        var exchange = Exchange();
        var context = new RequestContext(exchange);
        context.Begin();
        return (context, exchange);
    }

    // Returns when the other thread is about to; a little earlier or later from round to round.
    private static Task GoAsync(ImaginedExchange exchange, int round)
    {
        var met = 0;
        var going = Task.Run(() =>
        {
            Meet();
            Thread.SpinWait(round % 16);
            exchange.Abort();
        });
        Meet();
        return going;

        void Meet()
        {
            Interlocked.Increment(ref met);
            var wait = new SpinWait();
            while (Volatile.Read(ref met) < 2) wait.SpinOnce(sleep1Threshold: -1);
        }
    }

    private UpstreamConnection Connection() => new(_instance, _heartbeat, _loops.Next());

    // One that is not gets as far as being refused.
    private static async Task<bool> IsCutAsync(UpstreamConnection connection) =>
        (await connection.ConnectAsync(TimeSpan.FromSeconds(10))).Error != SocketError.ConnectionRefused;
}
