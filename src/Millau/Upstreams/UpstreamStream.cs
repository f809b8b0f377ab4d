using System.Net;
using System.Net.Sockets;

namespace Millau.Upstreams;

/// <summary>
/// The bytes of one connection to an instance, plain or in TLS. Errors are values: a count of bytes, 0 at the end of
/// what the instance has to say, -1 when the connection failed.
/// </summary>
/// <remarks>
/// Concurrency: one receive and one send at a time, by the request that holds the connection; <see cref="Abort"/> by
/// any thread at any time. A receive may be started while nobody awaits it, and be awaited later.
/// </remarks>
internal abstract class UpstreamStream : IDisposable
{
    /// <summary>No byte is there at this moment.</summary>
    public const int NothingYet = -2;

    /// <summary>The receive that was started last has its result.</summary>
    public abstract bool IsReceived { get; }

    /// <summary>The result of the receive that was started last; to be awaited once.</summary>
    public abstract ValueTask<int> Received { get; }

    /// <summary>Starts a receive. The buffer is the stream's until the result was taken.</summary>
    public abstract void Receive(Memory<byte> buffer);

    /// <summary>Takes what is there without waiting. No receive may be under way.</summary>
    public abstract int TryReceive(Span<byte> buffer);

    /// <summary>Sends all bytes.</summary>
    public abstract ValueTask<int> Send(ReadOnlyMemory<byte> bytes);

    /// <summary>Sends all bytes of all segments, together as far as possible.</summary>
    public abstract ValueTask<int> Send(IList<ArraySegment<byte>> segments);

    /// <summary>Says that nothing more will be sent; receiving goes on.</summary>
    public abstract void ShutdownSend();

    /// <summary>Ends whatever is under way: pending calls fail. The holder still disposes.</summary>
    public abstract void Abort();

    public abstract void Dispose();
}

/// <summary>What came of connecting to an instance.</summary>
/// <param name="Error">Success, or what the socket says.</param>
/// <param name="TlsFailure">Why there is no TLS on the connection, in words; null if that is not what failed.</param>
internal readonly record struct ConnectResult(SocketError Error, string? TlsFailure = null)
{
    public bool IsConnected => Error == SocketError.Success && TlsFailure is null;

    /// <summary>For the log.</summary>
    public override string ToString() => TlsFailure ?? Error.ToString();
}
