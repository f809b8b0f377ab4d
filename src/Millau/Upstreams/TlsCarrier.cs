using System.Runtime.CompilerServices;
using Millau.Async;

namespace Millau.Upstreams;

/// <summary>
/// What <see cref="TlsStream"/>'s <see cref="System.Net.Security.SslStream"/> reads from and writes to: the socket, with
/// two things added. It remembers that the socket's stream has ended, and it knows whether the SslStream is at work on
/// bytes it received.
/// </summary>
/// <remarks>
/// Concurrency: SslStream locks reading and writing against each other, but not its ShutdownAsync against reading. So
/// <see cref="Shutdown"/> waits for a moment in which no received bytes are being worked on: between
/// <see cref="Leave"/> and <see cref="Enter"/>.
/// </remarks>
internal sealed class TlsCarrier(SocketStream plain) : AsyncStream
{
    private readonly Lock _lock = new();
    private bool _isInside;
    private Action? _shutdown;

    /// <summary>The socket's stream ended, whatever TLS says.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>From now on the SslStream may be at work on received bytes.</summary>
    public void Enter()
    {
        lock (_lock) _isInside = true;
    }

    /// <summary>It is no more.</summary>
    public void Leave()
    {
        lock (_lock)
        {
            _isInside = false;
            _shutdown?.Invoke();
            _shutdown = null;
        }
    }

    /// <summary>Calls, now or as soon as it may, what says the end of TLS.</summary>
    public void Shutdown(Action shutdown)
    {
        lock (_lock)
        {
            if (_isInside) _shutdown = shutdown;
            else shutdown();
        }
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        plain.Receive(buffer);
        int received;
        if (plain.IsReceived)
        {
            received = await plain.Received.ConfigureAwait(false);
        }
        else
        {
            Leave();
            received = await plain.Received.ConfigureAwait(false);
            Enter();
        }
        if (received < 0) throw new IOException("the connection failed");
        HasEnded = received == 0;
        return received;
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder))]
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (await plain.Send(buffer).ConfigureAwait(false) < 0) throw new IOException("the connection failed");
    }
}
