using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Millau.Bench;

/// <summary>Many WebSockets that are open through Millau: what they hold, and what they take while nothing is said.</summary>
internal static class WebSocketBench
{
    public const string Name = "websockets";
    public const string PerSocket = "socket_kb";
    public const string IdleCpu = "idle_cpu_percent";
    public const string Echo = "echo_all_ms";

    private const int Sockets = 5000;
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(5);

    public static async Task RunAsync(Options options, Figures figures)
    {
        using var echo = new EchoServer();
        await using var engine = await EngineStandIn.StartAsync(echo.Port);
        for (var round = 0; round < Math.Min(options.Rounds, 3); round++)
        {
            using var proxy = RunningProxy.StartMillau(echo.Port, engine.Port, options, MemoryBench.MostConnections);
            var head = $"GET /socket HTTP/1.1\r\nHost: 127.0.0.1:{proxy.Port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            await Task.Delay(TimeSpan.FromSeconds(2));
            var before = proxy.Tree.ResidentKilobytes();
            using var sockets = await Connections.OpenAsync(proxy.Port, Sockets, head, 0);
            await Task.Delay(TimeSpan.FromSeconds(2));
            figures.Add(Name, "millau", PerSocket, round, (proxy.Tree.ResidentKilobytes() - before) / (double)Sockets);
            var ticks = proxy.Tree.CpuTicks();
            await Task.Delay(Idle);
            figures.Add(Name, "millau", IdleCpu, round,
                100.0 * (proxy.Tree.CpuTicks() - ticks) / (Idle.TotalSeconds * Cores.TicksPerSecond));
            var clock = System.Diagnostics.Stopwatch.StartNew();
            await Task.WhenAll(sockets.Sockets.Select(AskAsync));
            figures.Add(Name, "millau", Echo, round, clock.Elapsed.TotalMilliseconds);
            Console.Error.Write('.');
        }
        Console.Error.WriteLine();
    }

    /// <summary>What is sent comes back, whatever it says: Millau passes on bytes.</summary>
    private static async Task AskAsync(Socket socket)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var buffer = new byte[8];
        await socket.SendAsync("ping"u8.ToArray(), deadline.Token);
        var length = 0;
        while (length < 4) length += await socket.ReceiveAsync(buffer.AsMemory(length), deadline.Token) is > 0 and var n ? n
            : throw new InvalidOperationException("a WebSocket was closed");
        if (!buffer.AsSpan(0, 4).SequenceEqual("ping"u8)) throw new InvalidOperationException("a WebSocket answered wrongly");
    }

    /// <summary>Agrees to each WebSocket, and sends back what it receives; any other request gets an empty 200.</summary>
    private sealed class EchoServer : IDisposable
    {
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        public EchoServer()
        {
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _listener.Listen(1024);
            _ = AcceptAsync();
        }

        public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

        public void Dispose() => _listener.Dispose();

        private async Task AcceptAsync()
        {
            try
            {
                while (true) _ = ServeAsync(await _listener.AcceptAsync());
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The end.
            }
        }

        private static async Task ServeAsync(Socket accepted)
        {
            using var socket = accepted;
            var buffer = new byte[4096];
            try
            {
                var length = 0;
                while (buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8) < 0)
                    length += await socket.ReceiveAsync(buffer.AsMemory(length)) is > 0 and var n ? n : throw new SocketException();
                var isSocket = Encoding.ASCII.GetString(buffer, 0, length).Contains("Upgrade: websocket", StringComparison.OrdinalIgnoreCase);
                await socket.SendAsync(Encoding.ASCII.GetBytes(isSocket
                    ? "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
                    : "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
                while (isSocket && await socket.ReceiveAsync(buffer.AsMemory()) is > 0 and var received)
                    await socket.SendAsync(buffer.AsMemory(0, received));
            }
            catch (SocketException)
            {
                // The other side went.
            }
        }
    }
}
