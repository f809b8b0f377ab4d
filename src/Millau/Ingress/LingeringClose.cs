using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Millau.Ingress;

/// <summary>
/// Ends a client's connection in two steps (RFC 9112 section 9.6). A socket that is closed while something it received is
/// unread, or still comes, is reset, and the reset may take the answer with it: a client whose request was refused half-way would
/// see a broken connection in place of the reason. So the end of the answers is said first, then what still comes is read and
/// thrown away, and the socket is closed when the client has ended its side too, or has had its time.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="stopping">The server stops, and gives its clients less time.</param>
/// <remarks>A flush of the transport has to be over only when the kernel has all of it. What was aborted is not held up.</remarks>
internal sealed class LingeringClose(TimeProvider time, CancellationToken stopping)
{
    /// <summary>How long a client may take to end its side.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    // The process is to end, but not before its last answers are read.
    private static readonly TimeSpan AtTheStop = TimeSpan.FromMilliseconds(500);

    // Nobody needs this much to hear of an answer; who sends more does not listen.
    private const long MostBytes = 8 * 1024 * 1024;

    /// <summary>To be put on a port before anything else, so that it comes last.</summary>
    public ConnectionDelegate Attach(ConnectionDelegate next) => async connection =>
    {
        await next(connection).ConfigureAwait(false);
        await LingerAsync(connection).ConfigureAwait(false);
    };

    private async Task LingerAsync(ConnectionContext connection)
    {
        if (connection.Features.Get<IConnectionSocketFeature>() is not { } transport) return;
        using var deadline = new CancellationTokenSource(Longest, time);
        using var stop = stopping.UnsafeRegister(static deadline => ((CancellationTokenSource)deadline!).CancelAfter(AtTheStop), deadline);
        try
        {
            await connection.Transport.Output.FlushAsync(deadline.Token).ConfigureAwait(false);
            transport.Socket.Shutdown(SocketShutdown.Send);
            await DiscardAsync(connection, deadline.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
        {
            // Its time is over, or it is closed already: cut or reset.
        }
    }

    private static async Task DiscardAsync(ConnectionContext connection, CancellationToken cancellation)
    {
        var input = connection.Transport.Input;
        for (var discarded = 0L; discarded < MostBytes;)
        {
            var read = await input.ReadAsync(cancellation).ConfigureAwait(false);
            discarded += read.Buffer.Length;
            input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return;
        }
    }
}
