using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;

namespace Millau.Upstreams;

/// <summary>
/// One kind of socket call, reused for every call of a connection without allocation. Errors are values: the result
/// is the byte count, or -1 when the socket failed. At most one call at a time.
/// </summary>
/// <remarks>
/// A receive may be started while nobody awaits it (an idle connection watches for its end that way) and be awaited
/// later; <see cref="IsCompleted"/> tells without awaiting.
/// </remarks>
internal sealed class SocketOperation(Action? completed = null)
    : SocketAsyncEventArgs(true), IValueTaskSource<int>
{
    private ManualResetValueTaskSourceCore<int> _source;

    /// <summary>The call that was started last has its result.</summary>
    public bool IsCompleted => _source.GetStatus(_source.Version) != ValueTaskSourceStatus.Pending;

    /// <summary>The result of the call that was started last; to be awaited once.</summary>
    public ValueTask<int> Result => new(this, _source.Version);

    /// <summary>Connects; the result is 0, or -1 with the reason in <see cref="SocketAsyncEventArgs.SocketError"/>.</summary>
    public ValueTask<int> Connect(Socket socket, EndPoint endPoint)
    {
        _source.Reset();
        RemoteEndPoint = endPoint;
        try
        {
            if (!socket.ConnectAsync(this)) Finish();
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException)
        {
            _source.SetResult(-1);
        }
        return Result;
    }

    /// <summary>Starts a receive. 0 bytes is the end of the stream.</summary>
    public ValueTask<int> Receive(Socket socket, Memory<byte> buffer)
    {
        _source.Reset();
        SetBuffer(buffer);
        try
        {
            if (!socket.ReceiveAsync(this)) Finish();
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException)
        {
            _source.SetResult(-1);
        }
        return Result;
    }

    /// <summary>Sends all bytes of all segments with as few system calls as the kernel allows.</summary>
    public ValueTask<int> Send(Socket socket, IList<ArraySegment<byte>> segments)
    {
        _source.Reset();
        try
        {
            // One buffer or a list, never both: what the send before this one left is taken away first.
            SetBuffer(null, 0, 0);
            BufferList = segments;
            if (!socket.SendAsync(this)) Finish();
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException)
        {
            _source.SetResult(-1);
        }
        return Result;
    }

    /// <summary>Sends all bytes.</summary>
    public ValueTask<int> Send(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        _source.Reset();
        try
        {
            if (BufferList is not null) BufferList = null;
            // The buffer is only read from.
            SetBuffer(MemoryMarshal.AsMemory(bytes));
            if (!socket.SendAsync(this)) Finish();
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException)
        {
            _source.SetResult(-1);
        }
        return Result;
    }

    /// <inheritdoc/>
    protected override void OnCompleted(SocketAsyncEventArgs e)
    {
        completed?.Invoke();
        Finish();
    }

    private void Finish() => _source.SetResult(SocketError == SocketError.Success ? BytesTransferred : -1);

    int IValueTaskSource<int>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}
