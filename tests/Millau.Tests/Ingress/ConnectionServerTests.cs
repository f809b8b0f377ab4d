using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Ingress;
using Millau.Ingress.Http1;
using Millau.Memory;
using Millau.Transport;

namespace Millau.Tests.Ingress;

/// <summary>Ports, connections and their end, on event loops and on the framework's sockets.</summary>
public class ConnectionServerTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Port_0_gives_a_bound_port_that_answers(bool onLoops)
    {
        await using var server = await Server.StartAsync(onLoops);

        Assert.NotEqual(0, server.EndPoint.Port);
        using var client = new HttpClient();
        Assert.Equal("/hello?x=%2F", await client.GetStringAsync($"http://{server.EndPoint}/hello?x=%2F"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task IPv6_addresses_are_reported_too(bool onLoops)
    {
        if (!Socket.OSSupportsIPv6) Assert.Skip("no IPv6 here");
        await using var server = await Server.StartAsync(onLoops, IPAddress.IPv6Loopback);

        Assert.Equal(IPAddress.IPv6Loopback, server.EndPoint.Address);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_taken_port_is_an_IOException(bool onLoops)
    {
        await using var first = await Server.StartAsync(onLoops);

        var error = await Assert.ThrowsAsync<IOException>(() => Server.StartAsync(onLoops, port: first.EndPoint.Port));
        Assert.Equal(SocketError.AddressAlreadyInUse, Assert.IsType<SocketException>(error.InnerException).SocketErrorCode);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Stopping_lets_a_request_in_flight_finish(bool onLoops)
    {
        var echo = new Echo { Gate = new TaskCompletionSource() };
        await using var server = await Server.StartAsync(onLoops, echo: echo);
        using var client = new HttpClient();
        var answer = client.GetStringAsync($"http://{server.EndPoint}/slow");
        await echo.Entered.Task.WaitAsync(Patience);

        var stop = server.Connections.StopAsync(Patience);
        Assert.False(stop.IsCompleted);
        echo.Gate.SetResult();

        Assert.Equal("/slow", await answer.WaitAsync(Patience));
        await stop.WaitAsync(Patience);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Stopping_cuts_a_request_that_outlasts_the_grace(bool onLoops)
    {
        var echo = new Echo { Gate = new TaskCompletionSource() };
        await using var server = await Server.StartAsync(onLoops, echo: echo);
        using var client = new HttpClient();
        var answer = client.GetStringAsync($"http://{server.EndPoint}/slow");
        await echo.Entered.Task.WaitAsync(Patience);

        var stop = server.Connections.StopAsync(TimeSpan.FromMilliseconds(50));

        await Assert.ThrowsAsync<HttpRequestException>(() => answer.WaitAsync(Patience));
        echo.Gate.SetResult();
        await stop.WaitAsync(Patience);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Stopping_closes_a_connection_that_is_idle(bool onLoops)
    {
        await using var server = await Server.StartAsync(onLoops);
        using var client = new TcpClient();
        client.Connect(server.EndPoint);
        var stream = client.GetStream();
        await stream.WriteAsync("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        var buffer = new byte[1000];
        var text = "";
        while (!text.EndsWith("/a", StringComparison.Ordinal)) text += Encoding.ASCII.GetString(buffer, 0, await stream.ReadAsync(buffer, TestContext.Current.CancellationToken));

        var stop = server.Connections.StopAsync(Patience);
        // In order: what is read is the end, not a reset.
        Assert.Equal(0, await stream.ReadAsync(buffer, TestContext.Current.CancellationToken).AsTask().WaitAsync(Patience, TestContext.Current.CancellationToken));
        client.Close();
        await stop.WaitAsync(Patience, TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Stopping_cuts_a_connection_that_is_in_its_handshake_without_waiting_for_the_grace(bool onLoops)
    {
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = await Server.StartAsync(onLoops, before: async (connection, next) =>
        {
            begun.SetResult();
            var read = await connection.Transport.Input.ReadAsync();
            connection.Transport.Input.AdvanceTo(read.Buffer.Start);
            await next(connection);
        });
        using var client = new TcpClient();
        client.Connect(server.EndPoint);
        await begun.Task.WaitAsync(Patience, TestContext.Current.CancellationToken);

        await server.Connections.StopAsync(TimeSpan.FromHours(1)).WaitAsync(Patience, TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_a_handler_throws_cuts_its_client_and_nobody_else(bool onLoops)
    {
        await using var server = await Server.StartAsync(onLoops);
        using var client = new HttpClient();

        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync($"http://{server.EndPoint}/throw"));
        Assert.Equal("/after", await client.GetStringAsync($"http://{server.EndPoint}/after"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Whoever_is_connected_when_accepting_stops_is_counted_and_answered(bool onLoops)
    {
        await using var server = await Server.StartAsync(onLoops);
        var clients = new List<Socket>();
        try
        {
            for (var i = 0; i < 80; i++)
            {
                var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                clients.Add(client);
                client.Connect(server.EndPoint);
            }

            await server.Connections.StopAcceptingAsync().WaitAsync(Patience, TestContext.Current.CancellationToken);

            Assert.Equal(clients.Count, server.Connections.OpenConnections);
            var buffer = new byte[1000];
            foreach (var client in clients)
            {
                client.Send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"u8);
                Assert.NotEqual(0, client.Receive(buffer));
            }
            using var late = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            Assert.Throws<SocketException>(() => late.Connect(server.EndPoint));
        }
        finally
        {
            foreach (var client in clients) client.Dispose();
        }
    }

    private sealed class Server(EventLoops? loops, ConnectionServer connections) : IAsyncDisposable
    {
        public ConnectionServer Connections => connections;

        public IPEndPoint EndPoint => Assert.Single(connections.EndPoints);

        /// <param name="before">What a connection goes through before it is served, as a handshake.</param>
        public static async Task<Server> StartAsync(
            bool onLoops, IPAddress? address = null, int port = 0, Echo? echo = null,
            Func<ConnectionContext, ConnectionDelegate, Task>? before = null)
        {
            var loops = onLoops ? new EventLoops(NullLogger.Instance, 1) : null;
            ITransport transport = loops is null
                ? new SocketTransport(NullLoggerFactory.Instance)
                : new LoopTransport(loops, new BlockMemoryPool(16 * 1024, BufferLedger.Shared), NullLogger.Instance);
            var connections = new ConnectionServer(transport, 100, TimeProvider.System, NullLogger.Instance);
            var server = new Server(loops, connections);
            try
            {
                var service = new HttpService(echo ?? new Echo(), new ClientLimits(), connections.Clock, NullLogger.Instance);
                ConnectionDelegate serve = c => service.ServeAsync(new Http1Connection(c, service));
                await connections.ListenAsync(address ?? IPAddress.Loopback, port, before is null ? serve : c => before(c, serve));
                return server;
            }
            catch
            {
                await server.DisposeAsync();
                throw;
            }
        }

        public async ValueTask DisposeAsync()
        {
            await connections.DisposeAsync();
            loops?.Dispose();
        }
    }

    /// <summary>Answers with the target, once its gate is open.</summary>
    private sealed class Echo : IRequestHandler
    {
        public TaskCompletionSource? Gate { get; init; }

        public TaskCompletionSource Entered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async ValueTask HandleAsync(Exchange exchange)
        {
            Entered.TrySetResult();
            if (Gate is not null) await Gate.Task;
            if (exchange.Target == "/throw") throw new InvalidOperationException("meant");
            var body = Encoding.ASCII.GetBytes(exchange.Target);
            exchange.BeginHead(200);
            exchange.EndHead(body.Length, hasBody: true);
            exchange.Write(body);
        }
    }
}
