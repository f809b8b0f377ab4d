using System.Net.Sockets;
using System.Text;

namespace Millau.EchoService;

/// <summary>The image's health check: a scratch image has no curl.</summary>
internal static class Health
{
    /// <returns>0 when <c>/health</c> on this host's own port answers 200 within two seconds, else 1.</returns>
    public static async Task<int> CheckAsync(int port)
    {
        try
        {
            using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(2));
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync("127.0.0.1", port, deadline.Token);
            await socket.SendAsync("GET /health HTTP/1.0\r\nHost: health\r\n\r\n"u8.ToArray(), deadline.Token);
            var head = new byte[12];
            var read = 0;
            while (read < head.Length)
            {
                var n = await socket.ReceiveAsync(head.AsMemory(read), deadline.Token);
                if (n == 0)
                    return 1;
                read += n;
            }
            return Encoding.ASCII.GetString(head).EndsWith(" 200", StringComparison.Ordinal) ? 0 : 1;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return 1;
        }
    }
}
