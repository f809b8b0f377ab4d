using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Millau.Tests.Shared;

namespace Millau.Tests.Wire;

/// <summary>
/// One side of a TCP connection, byte for byte; text is Latin-1. Used by scripted instances and as the client of a
/// test. Every call fails after <see cref="Deadline"/>.
/// </summary>
/// <param name="socket">Owned.</param>
/// <param name="tls">What carries the bytes instead of the socket itself; owned.</param>
internal sealed class ScriptedConnection(Socket socket, SslStream? tls = null) : IAsyncDisposable
{
    /// <summary>Longest wait for one thing.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(15);

    private byte[] _buffer = new byte[64 * 1024];
    private int _length;

    public Socket Socket => socket;

    /// <summary>The last read did not end in order: reset, or without what TLS says at its end.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>Null for a plain connection.</summary>
    public SslStream? Tls => tls;

    public static async Task<ScriptedConnection> ConnectAsync(EndPoint endPoint, int? receiveBuffer = null)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (receiveBuffer is { } size) socket.ReceiveBufferSize = size;
        await socket.ConnectBlockingAsync(endPoint);
        return new ScriptedConnection(socket);
    }

    /// <summary>Connects with TLS, and takes any certificate.</summary>
    public static async Task<ScriptedConnection> ConnectTlsAsync(EndPoint endPoint, SslClientAuthenticationOptions options)
    {
        var plain = await ConnectAsync(endPoint);
        return await plain.BeginTlsAsync(options);
    }

    /// <summary>Puts TLS on a plain connection, and takes any certificate. What it returns owns the socket from now on.</summary>
    public async Task<ScriptedConnection> BeginTlsAsync(SslClientAuthenticationOptions options)
    {
        var client = new SslStream(new NetworkStream(socket, ownsSocket: false));
        options.RemoteCertificateValidationCallback ??= (_, _, _, _) => true;
        using var deadline = new CancellationTokenSource(Deadline);
        try
        {
            await client.AuthenticateAsClientAsync(options, deadline.Token);
        }
        catch
        {
            await client.DisposeAsync();
            await DisposeAsync();
            throw;
        }
        return new ScriptedConnection(socket, client);
    }

    public Task SendAsync(string latin1) => SendAsync(Encoding.Latin1.GetBytes(latin1));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        if (tls is not null) await tls.WriteAsync(bytes, deadline.Token);
        else for (var sent = 0; sent < bytes.Length;) sent += await socket.SendAsync(bytes[sent..], deadline.Token);
    }

    /// <summary>Sends as much as there is room for, for as long as it takes; the count of bytes.</summary>
    public async Task<int> SendSomeAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        if (tls is null) return await socket.SendAsync(bytes, cancellation);
        await tls.WriteAsync(bytes, cancellation);
        return bytes.Length;
    }

    /// <summary>False if the connection ends without a byte. Waits as long as it takes: a kept connection may be idle.</summary>
    public async Task<bool> WaitForBytesAsync() => _length > 0 || await FillAsync(CancellationToken.None) > 0;

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

    /// <summary>Reads over this many bytes without keeping them; returns how many came before the end.</summary>
    public async Task<long> SkipAsync(long count)
    {
        using var deadline = new CancellationTokenSource(Deadline * 2);
        var skipped = 0L;
        while (skipped < count)
        {
            if (_length == 0 && await FillAsync(deadline.Token) == 0) break;
            var take = (int)Math.Min(_length, count - skipped);
            Drop(take);
            skipped += take;
        }
        return skipped;
    }

    /// <summary>Reads a response with a Content-Length, head and body.</summary>
    public async Task<string> ReadResponseAsync()
    {
        var head = await ReadHeadAsync();
        return head + await ReadAsync(ContentLength(head));
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

    public async ValueTask DisposeAsync()
    {
        if (tls is not null)
        {
            await SayEndAsync();
            await tls.DisposeAsync();
        }
        socket.Dispose();
    }

    /// <summary>Ends the connection in order, but without what TLS says at its end.</summary>
    public void Cut()
    {
        socket.Shutdown(SocketShutdown.Both);
        socket.Dispose();
    }

    // close_notify, where there is TLS still.
    private async Task SayEndAsync()
    {
        try
        {
            if (tls!.IsAuthenticated) await tls.ShutdownAsync().WaitAsync(Deadline);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or SocketException)
        {
        }
    }

    private static int ContentLength(string head)
    {
        const string name = "\r\nContent-Length: ";
        var start = head.IndexOf(name, StringComparison.OrdinalIgnoreCase);
        if (start < 0) return 0;
        start += name.Length;
        return int.Parse(head.AsSpan(start, head.IndexOf('\r', start) - start));
    }

    private async Task<int> FillAsync(CancellationToken cancellation)
    {
        if (_length == _buffer.Length) Array.Resize(ref _buffer, _buffer.Length * 2);
        try
        {
            var free = _buffer.AsMemory(_length);
            var received = tls is null ? await socket.ReceiveAsync(free, cancellation) : await tls.ReadAsync(free, cancellation);
            _length += received;
            return received;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException || (tls is not null && e is IOException))
        {
            HasFailed = true;
            return 0;
        }
    }

    private string Take(int count)
    {
        var text = Encoding.Latin1.GetString(_buffer, 0, count);
        Drop(count);
        return text;
    }

    private void Drop(int count)
    {
        _buffer.AsSpan(count, _length - count).CopyTo(_buffer);
        _length -= count;
    }
}
