using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Ingress;
using Millau.Memory;
using Millau.Tests.Wire;
using Millau.Transport;

namespace Millau.Tests.Transport;

/// <summary>How clients come to the event loops.</summary>
public sealed class LoopPortTests : IDisposable
{
    private const int LoopCount = 3;

    private static readonly TimeSpan Deadline = ScriptedConnection.Deadline;

    private readonly EventLoops _loops = new(NullLogger.Instance, LoopCount);
    private readonly Socket _listening = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _clients = [];
    private readonly ConcurrentQueue<Service> _services = [];

    public LoopPortTests()
    {
        _listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        // From here on the kernel lets clients in, accepted or not.
        _listening.Listen(512);
    }

    [Fact]
    public async Task Connections_are_spread_evenly_and_each_is_served_by_its_own_loop_from_the_start()
    {
        await using var port = await ListenAsync(TakeIn);
        for (var i = 0; i < 10 * LoopCount; i++) Connect();

        foreach (var service in await BegunAsync(10 * LoopCount)) Assert.True(service.BeganOnItsLoop);
        Assert.Equal([10, 10, 10], _services.GroupBy(s => s.Connection.Loop).Select(g => g.Count()));
    }

    [Fact]
    public async Task A_request_that_came_before_its_connection_was_accepted_is_there_when_the_service_begins()
    {
        Connect().Send("hello"u8);
        await using var port = await ListenAsync(TakeIn);

        var service = Assert.Single(await BegunAsync(1));

        Assert.Equal("hello", service.Received);
    }

    [Fact]
    public async Task A_client_that_went_before_it_was_accepted_harms_nobody()
    {
        Connect().Close(0);
        var ended = Connect();
        ended.Shutdown(SocketShutdown.Both);
        Connect().Send("hello"u8);
        await using var port = await ListenAsync(TakeIn);

        await Eventually.TrueAsync(() => _services.Any(s => s.Received == "hello"));
    }

    [Fact]
    public async Task Who_is_not_wanted_is_not_served()
    {
        await using var port = await ListenAsync(connection =>
        {
            connection.Abort(new ConnectionAbortedException());
            return null;
        });

        Assert.Throws<SocketException>(() => Connect().Receive(new byte[1]));
    }

    [Fact]
    public async Task The_service_of_a_connection_that_is_cut_before_it_has_begun_begins_all_the_same()
    {
        await using var port = await ListenAsync(connection =>
        {
            var service = TakeIn(connection);
            connection.Abort(new ConnectionAbortedException());
            return service;
        });
        Connect();

        // Once: whoever counts it has to learn of its end.
        Assert.True(Assert.Single(await BegunAsync(1)).HasFailed);
    }

    [Fact]
    public async Task Whoever_waits_in_the_backlog_is_accepted_before_the_port_is_closed_and_nobody_afterwards()
    {
        for (var i = 0; i < 200; i++) Connect();
        await using var port = await ListenAsync(TakeIn);

        await ListenGate.ShutAsync(_listening, Deadline);
        await port.CloseAsync();

        Assert.Equal(200, _services.Count);
        Assert.Throws<SocketException>(() => Connect());
        await BegunAsync(200);
    }

    [Fact]
    public async Task A_port_is_closed_while_the_loops_accept()
    {
        var count = 0;
        var port = await ListenAsync(connection =>
        {
            Interlocked.Increment(ref count);
            return TakeIn(connection);
        });
        var connecting = Task.Run(() =>
        {
            try
            {
                for (var i = 0; i < 2000; i++) Connect();
            }
            catch (SocketException)
            {
                // Closed.
            }
        }, TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(() => Volatile.Read(ref count) > 10);

        await port.CloseAsync();
        var accepted = Volatile.Read(ref count);
        await connecting;

        Assert.Equal(accepted, Volatile.Read(ref count));
        await BegunAsync(accepted);
        await port.DisposeAsync();
    }

    [Fact]
    public async Task Connections_of_loops_that_end_are_cut_and_their_services_end()
    {
        await using var port = await ListenAsync(TakeIn);
        var client = Connect();
        var service = Assert.Single(await BegunAsync(1));
        var reading = service.Connection.Input.ReadAsync();

        _loops.Dispose();

        await Assert.ThrowsAnyAsync<Exception>(async () => await reading.AsTask().WaitAsync(Deadline));
        Assert.Throws<SocketException>(() => client.Receive(new byte[1]));
    }

    [Theory]
    [InlineData("127.0.0.1", "0.0.0.0", "127.0.0.1")]
    [InlineData("127.0.0.1", "::", "127.0.0.1")]
    [InlineData("::1", "::", "::1")]
    public async Task Addresses_are_those_of_the_client_whatever_the_socket_is_of(string client, string listening, string shown)
    {
        if (!Socket.OSSupportsIPv6) Assert.Skip("no IPv6 here");
        using var socket = new Socket(IPAddress.Parse(listening).AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        if (listening == "::") socket.DualMode = true;
        socket.Bind(new IPEndPoint(IPAddress.Parse(listening), 0));
        var transport = new LoopTransport(_loops, new BlockMemoryPool(16 * 1024, BufferLedger.Shared), NullLogger.Instance);
        await using var port = await transport.ListenAsync(socket, TakeIn);
        using var far = new Socket(IPAddress.Parse(client).AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await far.ConnectAsync(new IPEndPoint(IPAddress.Parse(client), ((IPEndPoint)socket.LocalEndPoint!).Port), TestContext.Current.CancellationToken);

        var connection = Assert.Single(await BegunAsync(1)).Connection;

        Assert.Equal(new IPEndPoint(IPAddress.Parse(shown), ((IPEndPoint)far.LocalEndPoint!).Port), connection.RemoteEndPoint);
        Assert.Equal(new IPEndPoint(IPAddress.Parse(shown), ((IPEndPoint)socket.LocalEndPoint!).Port), connection.LocalEndPoint);
        connection.LocalEndPoint = null;
        await connection.DisposeAsync();
        Assert.Null(connection.LocalEndPoint);
    }

    [Fact]
    public void What_is_accepted_sends_at_once_as_the_socket_it_was_accepted_on()
    {
        _listening.NoDelay = true;
        Connect();
        using var accepted = _listening.Accept();
        Assert.True(accepted.NoDelay);
    }

    public void Dispose()
    {
        foreach (var service in _services) service.Connection.Abort();
        foreach (var client in _clients) client.Dispose();
        _loops.Dispose();
        _listening.Dispose();
    }

    private ValueTask<IAccepting> ListenAsync(AcceptedConnection accepted) =>
        new LoopTransport(_loops, new BlockMemoryPool(16 * 1024, BufferLedger.Shared), NullLogger.Instance).ListenAsync(_listening, accepted);

    private Service TakeIn(ConnectionContext connection)
    {
        var service = new Service((LoopConnection)connection);
        _services.Enqueue(service);
        return service;
    }

    private Socket Connect()
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _clients.Add(client);
        client.Connect(_endPoint ??= (IPEndPoint)_listening.LocalEndPoint!);
        return client;
    }

    private IPEndPoint? _endPoint;

    private async Task<IEnumerable<Service>> BegunAsync(int count)
    {
        await Eventually.TrueAsync(() => _services.Count(s => s.Count == 1) == count);
        return _services;
    }

    /// <summary>Takes what is there when it begins.</summary>
    private sealed class Service(LoopConnection connection) : IThreadPoolWorkItem
    {
        private int _count;

        public LoopConnection Connection => connection;

        public int Count => Volatile.Read(ref _count);

        public bool BeganOnItsLoop { get; private set; }

        public bool HasFailed { get; private set; }

        public string Received { get; private set; } = "";

        public void Execute()
        {
            BeganOnItsLoop = connection.Loop.IsCurrent;
            try
            {
                if (connection.Input.TryRead(out var read))
                {
                    Received = Encoding.ASCII.GetString(read.Buffer.FirstSpan);
                    connection.Input.AdvanceTo(read.Buffer.End);
                }
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                HasFailed = true;
            }
            Interlocked.Increment(ref _count);
        }
    }
}
