using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Tests.Wire;
using Millau.Transport;

namespace Millau.Tests.Transport;

/// <summary>Which socket is told of what.</summary>
public sealed class EventLoopTests : IDisposable
{
    private static readonly TimeSpan Deadline = ScriptedConnection.Deadline;

    private readonly EventLoop _loop = new(0, NullLogger.Instance);

    [Fact]
    public async Task An_event_of_a_closed_socket_is_not_told_to_the_one_in_its_place()
    {
        var (blocked, ofBlocked) = await Connect();
        var (first, ofFirst) = await Connect();
        var (second, ofSecond) = await Connect();
        var (third, ofThird) = await Connect();
        using var peers = new Peers(ofBlocked, ofFirst, ofSecond, ofThird);

        // Holds the loop until two more events wait behind it, so that the loop is told of both at once.
        var entered = new ManualResetEventSlim();
        var release = new ManualResetEventSlim();
        var holder = new Probe(blocked, _loop)
        {
            Readable = () =>
            {
                entered.Set();
                Assert.True(release.Wait(Deadline));
            },
        };
        var dying = new Probe(second, _loop);
        Probe? successor = null;
        var placed = new TaskCompletionSource();
        var killer = new Probe(first, _loop)
        {
            Readable = () =>
            {
                // The event of this one's end is under way already, and its place is taken by the next.
                dying.Close(reset: false);
                successor = new Probe(third, _loop);
                placed.SetResult();
                Assert.True(successor.Start());
            },
        };
        foreach (var socket in (Probe[])[holder, killer, dying])
        {
            Assert.True(socket.Start());
            Assert.True(Arm(socket));
        }

        ofBlocked.Send("x"u8);
        Assert.True(entered.Wait(Deadline, TestContext.Current.CancellationToken));
        ofFirst.Send("x"u8);
        ofSecond.Dispose();
        release.Set();
        await placed.Task.WaitAsync(Deadline, TestContext.Current.CancellationToken);

        // What the loop is told after that comes after the events that it was told together.
        Assert.True(Arm(killer));
        var later = new TaskCompletionSource();
        killer.Readable = later.SetResult;
        ofFirst.Send("x"u8);
        await later.Task.WaitAsync(Deadline, TestContext.Current.CancellationToken);

        Assert.Equal(dying.TookPlace, successor!.TookPlace);
        Assert.False(successor.IsPeerEnded);
        foreach (var socket in (Probe[])[holder, killer, successor]) socket.Close(reset: false);
    }

    [Fact]
    public async Task What_is_put_off_is_done_when_all_that_became_ready_together_had_their_turn()
    {
        var (blocked, ofBlocked) = await Connect();
        var (first, ofFirst) = await Connect();
        var (second, ofSecond) = await Connect();
        using var peers = new Peers(ofBlocked, ofFirst, ofSecond);
        var order = new List<string>();
        var done = new TaskCompletionSource();
        var entered = new ManualResetEventSlim();
        var release = new ManualResetEventSlim();
        var holder = new Probe(blocked, _loop)
        {
            Readable = () =>
            {
                entered.Set();
                Assert.True(release.Wait(Deadline));
            },
        };
        void PutOff()
        {
            order.Add("after");
            // Waits for no event, which may never come.
            _loop.AfterEvents(done.SetResult);
        }
        Probe Telling(Socket socket, string name) => new(socket, _loop)
        {
            Readable = () =>
            {
                if (order.Count == 0) _loop.AfterEvents(PutOff);
                order.Add(name);
            },
        };
        Probe[] all = [holder, Telling(first, "event"), Telling(second, "event")];
        foreach (var socket in all)
        {
            Assert.True(socket.Start());
            Assert.True(Arm(socket));
        }

        Assert.False(_loop.IsCurrent);
        ofBlocked.Send("x"u8);
        Assert.True(entered.Wait(Deadline, TestContext.Current.CancellationToken));
        ofFirst.Send("x"u8);
        ofSecond.Send("x"u8);
        release.Set();
        await done.Task.WaitAsync(Deadline, TestContext.Current.CancellationToken);

        Assert.Equal(["event", "event", "after"], order);
        foreach (var socket in all) socket.Close(reset: false);
    }

    [Fact]
    public async Task A_peer_that_ends_is_told_to_its_own_socket()
    {
        var (socket, peer) = await Connect();
        var gone = new TaskCompletionSource();
        var probe = new Probe(socket, _loop) { Gone = () => gone.TrySetResult() };
        Assert.True(probe.Start());
        peer.Dispose();
        await gone.Task.WaitAsync(Deadline, TestContext.Current.CancellationToken);
        probe.Close(reset: false);
    }

    [Fact]
    public async Task What_still_waits_when_the_loop_ends_is_told_that_its_socket_failed()
    {
        var (socket, peer) = await Connect();
        using var peers = new Peers(peer);
        var result = 0;
        var probe = new Probe(socket, _loop);
        probe.Readable = () => result = probe.Receive(new byte[16]);
        Assert.True(probe.Start());
        Assert.True(Arm(probe));

        _loop.Dispose();

        Assert.InRange(result, int.MinValue, -1);
        var (late, ofLate) = await Connect();
        using var latePeers = new Peers(ofLate);
        Assert.False(new Probe(late, _loop).Start());
    }

    [Fact]
    public async Task What_waits_on_a_socket_that_is_closed_after_the_end_of_the_loop_is_told_all_the_same()
    {
        var (socket, peer) = await Connect();
        using var peers = new Peers(peer);
        var told = new TaskCompletionSource();
        // As one that was taken from the loop's table, to be closed, a moment before the end.
        var probe = new Probe(socket, _loop) { Readable = told.SetResult };
        Assert.True(Arm(probe));
        _loop.Dispose();

        probe.Close(reset: false);

        await told.Task.WaitAsync(Deadline, TestContext.Current.CancellationToken);
    }

    public void Dispose() => _loop.Dispose();

    // A socket that was never read from is ready until it finds nothing.
    private static bool Arm(Probe socket)
    {
        for (var i = 0; i < 100; i++)
        {
            if (socket.TryArmRead()) return true;
            socket.Receive(new byte[16]);
        }
        return false;
    }

    private static async Task<(Socket Own, Socket Peer)> Connect()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var peer = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await peer.ConnectAsync(listener.LocalEndPoint!);
        return (await listener.AcceptAsync(), peer);
    }

    private sealed class Peers(params Socket[] sockets) : IDisposable
    {
        public void Dispose()
        {
            foreach (var socket in sockets) socket.Dispose();
        }
    }

    private sealed class Probe(Socket socket, EventLoop loop) : LoopSocket(socket.TakeDescriptor(), loop)
    {
        public Action Readable { get; set; } = () => { };

        public Action Gone { get; set; } = () => { };

        public bool IsPeerEnded { get; private set; }

        /// <summary>Where it was in the loop's table.</summary>
        public uint TookPlace => (uint)Ticket;

        protected override void OnReadable() => Readable();

        protected override void OnWritable()
        {
        }

        protected override void OnPeerEnded(bool wholly)
        {
            IsPeerEnded = true;
            Gone();
        }
    }
}
