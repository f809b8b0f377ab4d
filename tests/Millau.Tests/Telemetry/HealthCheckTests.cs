using System.Net;
using System.Net.Sockets;
using System.Text;
using Millau.Telemetry;

namespace Millau.Tests.Telemetry;

public class HealthCheckTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task A_silent_listener_is_given_up_on()
    {
        using var listener = Listen();

        var reason = await HealthCheck.RunAsync(Port(listener), TimeSpan.FromMilliseconds(50)).WaitAsync(Patience);

        Assert.Equal($"unhealthy: port {Port(listener)} gave no answer within 0.05 s", reason);
    }

    [Fact]
    public async Task A_closed_port_is_told()
    {
        int port;
        using (var listener = Listen())
            port = Port(listener);

        var reason = await HealthCheck.RunAsync(port, Patience);

        Assert.StartsWith($"unhealthy: port {port}: ", reason);
        Assert.DoesNotContain('\n', reason!);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n", null)]
    [InlineData("HTTP/1.1 503 no\r\nX: HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 503 no")]
    [InlineData("HTTP/1.1 2000 OK\r\n", "HTTP/1.1 2000 OK")]
    [InlineData("\u001b[31m\r\n", "?[31m")]
    [InlineData("", "")]
    public async Task The_status_line_decides_however_it_is_cut(string answer, string? shown)
    {
        using var listener = Listen();
        var serving = ServeAsync(listener, answer);

        var reason = await HealthCheck.RunAsync(Port(listener), Patience);

        Assert.Equal(shown is null ? null : $"unhealthy: port {Port(listener)} answered \"{shown}\"", reason);
        Assert.StartsWith("GET / HTTP/1.1\r\nHost: localhost\r\n", await serving.WaitAsync(Patience));
    }

    private static async Task<string> ServeAsync(Socket listener, string answer)
    {
        using var socket = await listener.AcceptAsync();
        socket.NoDelay = true;
        var request = new byte[1024];
        var length = 0;
        while (!request.AsSpan(0, length).EndsWith("\r\n\r\n"u8))
            length += await socket.ReceiveAsync(request.AsMemory(length));
        foreach (var b in Encoding.ASCII.GetBytes(answer))
        {
            // The client may be content, and gone, before the end.
            try
            {
                await socket.SendAsync(new[] { b });
            }
            catch (SocketException)
            {
                break;
            }
        }

        return Encoding.ASCII.GetString(request, 0, length);
    }

    private static Socket Listen()
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        return listener;
    }

    private static int Port(Socket listener) => ((IPEndPoint)listener.LocalEndPoint!).Port;
}
