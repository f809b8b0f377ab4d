using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Millau.Tests.Wire;

/// <summary>
/// A way to an address on which everything takes its time: bytes, ends and resets arrive in each direction so much later as they were
/// sent. As much may be under way as there is, so what bounds a transfer is the protocol on it. TCP's own handshake is with the
/// near end, and takes no time.
/// </summary>
internal sealed class LongWay : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Socket> _open = [];
    private readonly EndPoint _to;
    private readonly TimeSpan _delay;
    private readonly Task _accepting;

    /// <param name="to">Where it leads.</param>
    /// <param name="delay">In each direction.</param>
    public LongWay(EndPoint to, TimeSpan delay)
    {
        _to = to;
        _delay = delay;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(128);
        EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
        _accepting = AcceptAllAsync();
    }

    /// <summary>Its near end.</summary>
    public IPEndPoint EndPoint { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        lock (_open)
            foreach (var socket in _open) socket.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAllAsync()
    {
        try
        {
            while (true) _ = CarryAsync(Kept(await _listener.AcceptAsync(_stop.Token)));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The end of the test.
        }
    }

    private async Task CarryAsync(Socket near)
    {
        var far = Kept(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        try
        {
            await far.ConnectAsync(_to, _stop.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            near.Close(0);
            return;
        }
        await Task.WhenAll(CarryAsync(near, far), CarryAsync(far, near));
        near.Dispose();
        far.Dispose();
    }

    private async Task CarryAsync(Socket from, Socket to)
    {
        var underWay = Channel.CreateUnbounded<Sent>();
        var arriving = ArriveAsync(to, underWay.Reader);
        var bytes = new byte[64 * 1024];
        Sent sent;
        do
        {
            int received;
            try
            {
                received = await from.ReceiveAsync(bytes, _stop.Token);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                received = -1;
            }
            sent = new Sent(received < 0 ? null : bytes.AsSpan(0, received).ToArray(), Stopwatch.GetTimestamp());
            underWay.Writer.TryWrite(sent);
        }
        while (sent.Bytes is { Length: > 0 });
        await arriving;
    }

    private async Task ArriveAsync(Socket to, ChannelReader<Sent> underWay)
    {
        try
        {
            while (true)
            {
                var sent = await underWay.ReadAsync(_stop.Token);
                var left = _delay - Stopwatch.GetElapsedTime(sent.At);
                if (left > TimeSpan.Zero) await Task.Delay(left, _stop.Token);
                if (sent.Bytes is null) to.Close(0);
                else if (sent.Bytes.Length == 0) to.Shutdown(SocketShutdown.Send);
                if (sent.Bytes is not { Length: > 0 } bytes) return;
                for (var at = 0; at < bytes.Length;) at += await to.SendAsync(bytes.AsMemory(at), _stop.Token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Nobody is there any more to be sent to.
        }
    }

    private Socket Kept(Socket socket)
    {
        socket.NoDelay = true;
        lock (_open) _open.Add(socket);
        return socket;
    }

    /// <param name="Bytes">None for the end of what is sent; null for a reset.</param>
    private readonly record struct Sent(byte[]? Bytes, long At);
}
