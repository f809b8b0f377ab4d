using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Millau.Bench;

/// <summary>Many client connections that stay open: each has sent a head and got an answer.</summary>
internal sealed class Connections : IDisposable
{
    private const int AtATime = 100;

    private readonly List<Socket> _sockets = [];

    public IReadOnlyList<Socket> Sockets => _sockets;

    /// <param name="port">Of the proxy, on the loopback interface.</param>
    /// <param name="count">How many.</param>
    /// <param name="head">The request, with its empty line.</param>
    /// <param name="body">How many bytes follow the answer's head.</param>
    /// <exception cref="InvalidOperationException">One was not answered within 20 s.</exception>
    public static async Task<Connections> OpenAsync(int port, int count, string head, int body)
    {
        var connections = new Connections();
        try
        {
            var request = Encoding.ASCII.GetBytes(head);
            for (var opened = 0; opened < count; opened += AtATime)
                connections._sockets.AddRange(await Task.WhenAll(
                    Enumerable.Range(0, Math.Min(AtATime, count - opened)).Select(_ => OpenAsync(port, request, body))));
            return connections;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            var opened = connections._sockets.Count;
            connections.Dispose();
            throw new InvalidOperationException($"connection {opened} or one of the next {AtATime}: {e.Message}", e);
        }
    }

    public void Dispose() => _sockets.ForEach(s => s.Dispose());

    private static async Task<Socket> OpenAsync(int port, byte[] request, int body)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await socket.ConnectAsync(IPAddress.Loopback, port, deadline.Token);
        await socket.SendAsync(request, deadline.Token);
        var buffer = new byte[4096];
        var length = 0;
        while (true)
        {
            var received = await socket.ReceiveAsync(buffer.AsMemory(length), deadline.Token);
            if (received == 0) throw new SocketException((int)SocketError.ConnectionReset);
            length += received;
            var end = buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8);
            if (end >= 0 && length - end - 4 >= body) return socket;
        }
    }
}
