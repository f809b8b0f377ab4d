using System.Net;
using System.Net.Sockets;

namespace Millau.Upstreams;

/// <summary>A connection without TLS on the framework's sockets.</summary>
/// <param name="family">IPv4 or IPv6.</param>
/// <param name="received">As <see cref="SocketStream.Create"/> says.</param>
/// <exception cref="SocketException">No descriptor is left.</exception>
internal sealed class PlainStream(AddressFamily family, Action? received) : SocketStream
{
    private readonly Socket _socket = new(family, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly SocketOperation _receive = new(received);
    private readonly SocketOperation _send = new();

    public override bool IsReceived => _receive.IsCompleted;

    public override ValueTask<int> Received => _receive.Result;

    public override async ValueTask<SocketError> ConnectAsync(EndPoint endPoint)
    {
        if (await _receive.Connect(_socket, endPoint).ConfigureAwait(false) < 0)
            return _receive.SocketError == SocketError.Success ? SocketError.OperationAborted : _receive.SocketError;
        try
        {
            SetOptions();
            return SocketError.Success;
        }
        catch (SocketException e)
        {
            // Reset meanwhile.
            return e.SocketErrorCode;
        }
        catch (ObjectDisposedException)
        {
            return SocketError.OperationAborted;
        }
    }

    public override void Receive(Memory<byte> buffer) => _ = _receive.Receive(_socket, buffer);

    public override int TryReceive(Span<byte> buffer)
    {
        try
        {
            var received = _socket.Receive(buffer, SocketFlags.None, out var error);
            return error switch
            {
                SocketError.Success => received,
                SocketError.WouldBlock => NothingYet,
                _ => -1,
            };
        }
        catch (ObjectDisposedException)
        {
            return -1;
        }
    }

    public override ValueTask<int> Send(ReadOnlyMemory<byte> bytes) => _send.Send(_socket, bytes);

    public override ValueTask<int> Send(IList<ArraySegment<byte>> segments) => _send.Send(_socket, segments);

    public override void ShutdownSend()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Already gone; the receiving side finds out.
        }
    }

    public override void Abort() => _socket.Dispose();

    public override void Dispose()
    {
        _socket.Dispose();
        _receive.Dispose();
        _send.Dispose();
    }

    private void SetOptions()
    {
        // For TryReceive alone; the other calls do not block anyway.
        _socket.Blocking = false;
        KeepAlive(_socket);
    }
}
