using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Millau.PeerTests.Hostile;

/// <summary>Keeps the raw bytes of whatever comes, and answers each head with the same; for any number of proxies.</summary>
internal sealed class RecordingOrigin : IAsyncDisposable
{
    private static readonly byte[] Answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"u8.ToArray();

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly StringBuilder _received = new();
    private readonly Task _accepting;

    public RecordingOrigin()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(64);
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>What came since the last call, as Latin-1.</summary>
    public string Take()
    {
        lock (_lock)
        {
            var text = _received.ToString();
            _received.Clear();
            return text;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await _listener.AcceptAsync(_stop.Token));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using var connection = socket;
        var buffer = new byte[64 * 1024];
        var seen = "";
        try
        {
            while (await connection.ReceiveAsync(buffer, _stop.Token) is > 0 and var count)
            {
                var text = Encoding.Latin1.GetString(buffer, 0, count);
                lock (_lock) _received.Append(text);
                seen += text;
                if (!seen.Contains("\r\n\r\n", StringComparison.Ordinal)) continue;
                // A little later, so that a body that follows is seen too.
                await Task.Delay(30, _stop.Token);
                await connection.SendAsync(Answer, _stop.Token);
                while (await connection.ReceiveAsync(buffer, _stop.Token) is > 0 and var more)
                    lock (_lock) _received.Append(Encoding.Latin1.GetString(buffer, 0, more));
                return;
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }
}
