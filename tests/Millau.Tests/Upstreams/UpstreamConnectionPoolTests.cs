using Microsoft.Extensions.Logging.Abstractions;
using Millau.Tests.Wire;
using Millau.Transport;
using Millau.Upstreams;

namespace Millau.Tests.Upstreams;

/// <summary>Which idle connection a request gets.</summary>
public sealed class UpstreamConnectionPoolTests : IAsyncDisposable
{
    private readonly EventLoops _loops = new(NullLogger.Instance, 3);
    private readonly UpstreamHeartbeat _heartbeat = new(TimeProvider.System);
    private readonly ScriptedInstance _scripted = new();
    private readonly UpstreamInstance _instance;

    public UpstreamConnectionPoolTests()
    {
        _instance = new UpstreamInstance("1", "one", _scripted.EndPoint, _heartbeat);
        _instance.Service = new UpstreamService("app", TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(60), [_instance], false);
    }

    [Fact]
    public async Task A_client_gets_the_connection_of_its_own_loop_that_was_used_last()
    {
        var (one, other) = (_loops.Next(), _loops.Next());
        var older = await ReturnNewAsync(one);
        var newer = await ReturnNewAsync(one);
        var foreign = await ReturnNewAsync(other);
        var none = await ReturnNewAsync(null);

        Assert.Equal(4, _instance.Pool.Count);
        Assert.Same(newer, _instance.Pool.TryRent(one));
        Assert.Same(older, _instance.Pool.TryRent(one));
        Assert.Same(none, _instance.Pool.TryRent(null));
        Assert.Same(foreign, _instance.Pool.TryRent(other));
        Assert.Null(_instance.Pool.TryRent(one));
        foreach (var connection in new[] { older, newer, foreign, none }) connection.Dispose();
    }

    [Fact]
    public async Task A_client_whose_loop_has_none_gets_one_of_another()
    {
        var (one, other) = (_loops.Next(), _loops.Next());
        var connection = await ReturnNewAsync(one);

        Assert.Same(connection, _instance.Pool.TryRent(other));
        Assert.Equal(0, _instance.Pool.Count);
        connection.Dispose();
    }

    [Fact]
    public async Task What_ends_while_idle_is_gone_whichever_its_loop()
    {
        var loops = new[] { _loops.Next(), _loops.Next(), _loops.Next(), null };
        var connections = new List<UpstreamConnection>();
        foreach (var loop in loops) connections.Add(await ReturnNewAsync(loop));

        _instance.Pool.CloseIdle(connections[1]);
        Assert.Equal(3, _instance.Pool.Count);
        _instance.Pool.Close();

        Assert.Equal(0, _instance.Pool.Count);
        foreach (var loop in loops) Assert.Null(_instance.Pool.TryRent(loop));
        Assert.Equal(0, _heartbeat.OpenConnections);
    }

    public async ValueTask DisposeAsync()
    {
        _heartbeat.Dispose();
        _loops.Dispose();
        await _scripted.DisposeAsync();
    }

    private async Task<UpstreamConnection> ReturnNewAsync(EventLoop? loop)
    {
        var connection = new UpstreamConnection(_instance, _heartbeat, loop);
        Assert.True((await connection.ConnectAsync(TimeSpan.FromSeconds(10))).IsConnected);
        await CarryAsync(connection);
        _instance.Pool.Return(connection);
        return connection;
    }

    private async Task CarryAsync(UpstreamConnection connection)
    {
        await connection.SendAsync("?"u8.ToArray());
        var upstream = await _scripted.AcceptAsync();
        await upstream.SendAsync("!");
        Assert.Equal(1, connection.EndFill(await connection.StartFill()));
        connection.Consume(1);
    }
}
