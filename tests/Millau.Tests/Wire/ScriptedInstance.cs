using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Millau.Tests.Wire;

/// <summary>
/// An instance whose every byte the test decides: accepts connections on a port of its own and hands each to the test.
/// Records nothing and answers nothing by itself, but closes the proxy's probes (connections that end without a byte).
/// </summary>
internal sealed class ScriptedInstance : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<ScriptedConnection, Task> _serve;
    private readonly Task _accepting;
    private int _connections;

    /// <param name="serve">Called for each connection that carries at least one byte.</param>
    public ScriptedInstance(Func<ScriptedConnection, Task> serve)
    {
        _serve = serve;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(128);
        _accepting = AcceptAsync();
    }

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>Connections that carried a request.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>Requests of the usual kind: reads heads without bodies and gives each the same answer, for ever.</summary>
    public static ScriptedInstance Answering(string response, Action<string>? onRequest = null) =>
        new(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 } head)
            {
                onRequest?.Invoke(head);
                await connection.SendAsync(response);
            }
        });

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _stop.Dispose();
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
        await using var connection = new ScriptedConnection(socket);
        try
        {
            if (!await connection.WaitForBytesAsync(_stop.Token)) return;
            Interlocked.Increment(ref _connections);
            await _serve(connection);
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException or IOException)
        {
        }
    }
}

/// <summary>One side of a TCP connection, byte for byte. Used by scripted instances and as the client of a test.</summary>
internal sealed class ScriptedConnection(Socket socket) : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    private byte[] _buffer = new byte[64 * 1024];
    private int _length;

    public Socket Socket => socket;

    public static async Task<ScriptedConnection> ConnectAsync(EndPoint endPoint)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var deadline = new CancellationTokenSource(Deadline);
        await socket.ConnectAsync(endPoint, deadline.Token);
        return new ScriptedConnection(socket);
    }

    public Task SendAsync(string latin1) => SendAsync(Encoding.Latin1.GetBytes(latin1));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        for (var sent = 0; sent < bytes.Length;) sent += await socket.SendAsync(bytes[sent..], deadline.Token);
    }

    /// <summary>False if the connection ends without a byte.</summary>
    public async Task<bool> WaitForBytesAsync(CancellationToken cancellation) =>
        _length > 0 || await FillAsync(cancellation) > 0;

    /// <summary>Reads up to and with the empty line that ends a head; what was read until then if the connection ends.</summary>
    public Task<string> ReadHeadAsync() => ReadUntilAsync("\r\n\r\n");

    /// <summary>Reads up to and with a text; what was read until then if the connection ends.</summary>
    public async Task<string> ReadUntilAsync(string text)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        var end = Encoding.Latin1.GetBytes(text);
        while (true)
        {
            var place = _buffer.AsSpan(0, _length).IndexOf(end);
            if (place >= 0) return Take(place + end.Length);
            if (await FillAsync(deadline.Token) == 0) return Take(_length);
        }
    }

    /// <summary>Reads this many bytes, fewer if the connection ends.</summary>
    public async Task<string> ReadAsync(int count)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        while (_length < count)
            if (await FillAsync(deadline.Token) == 0) break;
        return Take(Math.Min(count, _length));
    }

    /// <summary>Reads to the end of the connection; a reset counts as one.</summary>
    public async Task<string> ReadToEndAsync()
    {
        using var deadline = new CancellationTokenSource(Deadline);
        while (await FillAsync(deadline.Token) > 0)
        {
        }
        return Take(_length);
    }

    /// <summary>Ends the connection with RST.</summary>
    public void Reset()
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<int> FillAsync(CancellationToken cancellation)
    {
        if (_length == _buffer.Length) Array.Resize(ref _buffer, _buffer.Length * 2);
        try
        {
            var received = await socket.ReceiveAsync(_buffer.AsMemory(_length), cancellation);
            _length += received;
            return received;
        }
        catch (SocketException)
        {
            return 0;
        }
    }

    private string Take(int count)
    {
        var text = Encoding.Latin1.GetString(_buffer, 0, count);
        _buffer.AsSpan(count, _length - count).CopyTo(_buffer);
        _length -= count;
        return text;
    }
}
