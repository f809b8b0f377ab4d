using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Millau.PeerTests.Support;
using Millau.Tests.Shared;

namespace Millau.PeerTests.Hostile;

/// <summary>Keeps the raw bytes of whatever comes, and answers each request with the same; for any number of proxies.</summary>
internal sealed class RecordingOrigin : IAsyncDisposable
{
    private static readonly byte[] Answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"u8.ToArray();

    // For a proxy that sends what is no whole request, and waits all the same.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly StringBuilder _received = new();
    private readonly ConcurrentDictionary<int, TaskCompletionSource> _marks = new();
    private int _open;
    private readonly Task _accepting;

    public RecordingOrigin()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(64);
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>What came since the last call, as Latin-1, once all connections are over that had been begun when it was called.</summary>
    public async Task<string> TakeAsync()
    {
        // Connections are accepted in the order in which they came, so that with this one all before it were.
        using var mark = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        mark.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var accepted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _marks[((IPEndPoint)mark.LocalEndPoint!).Port] = accepted;
        await mark.ConnectBlockingAsync(new IPEndPoint(IPAddress.Loopback, Port));
        await accepted.Task.WaitAsync(Until.Deadline);
        await Until.TrueAsync(() => Volatile.Read(ref _open) == 0, "the connections of the request are over");
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
            while (true)
            {
                var socket = await _listener.AcceptAsync(_stop.Token);
                if (_marks.TryRemove(((IPEndPoint)socket.RemoteEndPoint!).Port, out var mark))
                {
                    socket.Dispose();
                    mark.SetResult();
                    continue;
                }
                Interlocked.Increment(ref _open);
                _ = ServeAsync(socket);
            }
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
            while (!IsWhole(seen))
            {
                if (await ReceiveAsync(connection, buffer, hasHead: seen.Contains("\r\n\r\n", StringComparison.Ordinal)) is not { } text) break;
                if (text.Length == 0) return;
                seen += text;
            }
            await connection.SendAsync(Answer, _stop.Token);
            connection.Shutdown(SocketShutdown.Send);
            while (await ReceiveAsync(connection, buffer, hasHead: false) is { Length: > 0 })
            {
                // What comes behind a request is kept as well.
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }

    // Empty at the end; null if more of a body is waited for and does not come.
    private async Task<string?> ReceiveAsync(Socket connection, byte[] buffer, bool hasHead)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        if (hasHead) patience.CancelAfter(Patience);
        try
        {
            var text = Encoding.Latin1.GetString(buffer, 0, await connection.ReceiveAsync(buffer, patience.Token));
            lock (_lock) _received.Append(text);
            return text;
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            return null;
        }
    }

    // As the head says; not strict, for those who sent it are judged by others.
    private static bool IsWhole(string seen)
    {
        var end = seen.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0) return false;
        var (head, body) = (seen[..(end + 2)], seen[(end + 4)..]);
        if (Regex.IsMatch(head, @"\r\nTransfer-Encoding:[^\r\n]*chunked", RegexOptions.IgnoreCase))
            return ("\r\n" + body).Contains("\r\n0\r\n", StringComparison.Ordinal) && body.EndsWith("\r\n\r\n", StringComparison.Ordinal);
        var length = Regex.Match(head, @"\r\nContent-Length:[ \t]*(\d{1,9})", RegexOptions.IgnoreCase);
        return !length.Success || body.Length >= int.Parse(length.Groups[1].Value, CultureInfo.InvariantCulture);
    }
}
