using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Tests.Wire;
using Millau.Tls;
using Millau.Transport;
using Millau.Upstreams;

namespace Millau.Tests.Upstreams;

/// <summary>What a connection to an instance does by itself, over the plain socket and over TLS.</summary>
public sealed class UpstreamConnectionTests : IDisposable
{
    /// <summary>With and without TLS, on an event loop and on the framework's sockets.</summary>
    public static readonly MatrixTheoryData<bool, bool> Kinds = new([false, true], [false, true]);

    private readonly EventLoops _loops = new(NullLogger.Instance, 1);
    private readonly UpstreamHeartbeat _heartbeat = new(TimeProvider.System);

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task After_the_end_of_sending_receiving_goes_on(bool tls, bool onLoop)
    {
        await using var instance = Instance(tls);
        using var connection = await ConnectAsync(instance, tls, onLoop);
        Assert.Equal(3, await connection.SendAsync("bye"u8.ToArray()));
        connection.ShutdownSend();
        var upstream = await instance.AcceptAsync();

        Assert.Equal("bye", await upstream.ReadToEndAsync());
        // In TLS an end that was not said would have been a failure.
        Assert.False(upstream.HasFailed);
        await upstream.SendAsync("and so on");
        Assert.Equal(9, connection.EndFill(await connection.StartFill()));
        await upstream.DisposeAsync();
        Assert.Equal(0, connection.EndFill(await connection.StartFill()));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task What_is_there_is_taken_without_waiting_and_nothing_is_lost_when_there_is_not(bool tls, bool onLoop)
    {
        await using var instance = Instance(tls);
        using var connection = await ConnectAsync(instance, tls, onLoop);
        await connection.SendAsync("x"u8.ToArray());
        var upstream = await instance.AcceptAsync();
        await upstream.SendAsync("a");
        Assert.Equal(1, connection.EndFill(await connection.StartFill()));
        var bytes = new byte[4];

        Assert.Equal(UpstreamConnection.NothingYet, connection.TryReceive(bytes));
        await upstream.SendAsync("bcdefg");
        Assert.Equal(4, await connection.ReceiveAsync(bytes));
        Assert.Equal("bcde"u8, bytes);
        Assert.Equal(2, connection.TryReceive(bytes));
        Assert.Equal("fg"u8, bytes.AsSpan(0, 2));
        Assert.Equal(UpstreamConnection.NothingYet, connection.TryReceive(bytes));
        await upstream.SendAsync("h");
        Assert.Equal(1, connection.EndFill(await connection.StartFill()));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Segments_arrive_whole_and_in_order(bool tls, bool onLoop)
    {
        await using var instance = Instance(tls);
        using var connection = await ConnectAsync(instance, tls, onLoop);
        var all = new byte[100_000];
        Random.Shared.NextBytes(all);
        var segments = new List<ArraySegment<byte>>();
        for (var start = 0; start < all.Length;)
        {
            var length = Math.Min(all.Length - start, 1 + (start * 7 % 40_000));
            segments.Add(new ArraySegment<byte>(all, start, length));
            start += length;
        }

        var sending = connection.SendAsync(segments);
        var upstream = await instance.AcceptAsync();
        var received = await upstream.ReadAsync(all.Length);

        Assert.Equal(all.Length, await sending);
        Assert.Equal(all, System.Text.Encoding.Latin1.GetBytes(received));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task An_abort_ends_what_waits(bool tls, bool onLoop)
    {
        await using var instance = Instance(tls);
        using var connection = await ConnectAsync(instance, tls, onLoop);
        var waiting = connection.StartFill();
        connection.Abort();
        Assert.Equal(-1, await waiting);
        Assert.Equal(-1, await connection.SendAsync("x"u8.ToArray()));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_refused_connection_says_so(bool onLoop)
    {
        await using var scripted = new ScriptedInstance();
        await scripted.RefuseAsync();
        var instance = new UpstreamInstance("1", "one", scripted.EndPoint, _heartbeat);
        instance.Service = new UpstreamService("app", TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(60), [instance], false);
        using var connection = new UpstreamConnection(instance, _heartbeat, onLoop ? _loops.Next() : null);

        Assert.Equal(SocketError.ConnectionRefused, (await connection.ConnectAsync(TimeSpan.FromSeconds(10))).Error);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task An_instance_that_does_not_read_makes_the_sender_wait(bool tls, bool onLoop)
    {
        await using var instance = Instance(tls);
        using var connection = await ConnectAsync(instance, tls, onLoop);
        var all = new byte[16_000_000];
        new Random(1).NextBytes(all);

        var sending = connection.SendAsync(all).AsTask();
        var upstream = await instance.AcceptAsync();
        Assert.False(sending.IsCompleted);
        var received = await upstream.ReadAsync(all.Length);

        Assert.Equal(all.Length, await sending);
        Assert.True(all.AsSpan().SequenceEqual(System.Text.Encoding.Latin1.GetBytes(received)));
    }

    public void Dispose()
    {
        _heartbeat.Dispose();
        _loops.Dispose();
    }

    private static ScriptedInstance Instance(bool tls)
    {
        if (tls) InstanceKind.SpeakTls();
        return new ScriptedInstance();
    }

    private async Task<UpstreamConnection> ConnectAsync(ScriptedInstance scripted, bool tls, bool onLoop)
    {
        InstanceTls? how = null;
        if (tls)
        {
            how = new InstanceTls();
            how.Set(new UpstreamTls(InstanceKind.ServerName, InstanceKind.Authority.Load(), null));
        }
        var instance = new UpstreamInstance("1", "one", scripted.EndPoint, _heartbeat);
        instance.Service = new UpstreamService("app", TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(60), [instance], false) { Tls = how };
        var connection = new UpstreamConnection(instance, _heartbeat, onLoop ? _loops.Next() : null);
        var result = await connection.ConnectAsync(TimeSpan.FromSeconds(10));
        Assert.True(result.IsConnected, result.ToString());
        return connection;
    }
}
