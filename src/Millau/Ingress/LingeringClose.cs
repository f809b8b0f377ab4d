using Microsoft.AspNetCore.Connections;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>
/// Ends a client's connection in two steps (RFC 9112 section 9.6). A socket that is closed while something it received is
/// unread, or still comes, is reset, and the reset may take the answer with it: a client whose request was refused half-way would
/// see a broken connection in place of the reason. So the end of the answers is said first, then what still comes is read and
/// thrown away, and the socket is closed when the client has ended its side too, or has had its time.
/// </summary>
/// <param name="time">The clock.</param>
/// <remarks>
/// A flush of the transport has to be over only when the kernel has all of it. What was aborted is not held up; nor is a client that
/// has ended its side already, or has said that its last request is the last and was sent little: by then all of that is on its way,
/// so that nothing could overtake it. With TLS the end is a message of its own, which is sent here.
/// </remarks>
internal sealed class LingeringClose(TimeProvider time)
{
    /// <summary>How long a client may take to end its side.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    // The process is to end, but not before its last answers are read.
    private static readonly TimeSpan AtTheStop = TimeSpan.FromMilliseconds(500);

    // Nobody needs this much to hear of an answer; who sends more does not listen.
    private const long MostBytes = 8 * 1024 * 1024;

    // What TCP sends at once, without hearing of the client (RFC 6928): ten segments.
    private const long SentAtOnce = 14_600;

    private readonly CancellationTokenSource _stopping = new();
    private volatile bool _isEnding;

    /// <summary>
    /// The process is to end, and with a container what its kernel still has to send: from now on nobody is closed who may not have
    /// all of the last answer yet.
    /// </summary>
    public void BeginEnd() => _isEnding = true;

    /// <summary>From now on clients are given less time.</summary>
    public void Hasten() => _stopping.Cancel();

    /// <summary>Over when the connection can be closed.</summary>
    /// <param name="connection">Its requests are over.</param>
    /// <param name="clientIsDone">The client said that it sends no more, and nothing was to come behind its last request.</param>
    public Task WaitAsync(ConnectionContext connection, bool clientIsDone) =>
        connection.Features.Get<IHalfClose>() is not { } transport
            || IsOver(connection, clientIsDone && transport.SentBytes <= SentAtOnce && !_isEnding)
            ? Task.CompletedTask
            : LingerAsync(connection, transport);

    private static bool IsOver(ConnectionContext connection, bool clientIsDone)
    {
        var (input, output) = (connection.Transport.Input, connection.Transport.Output);
        if (!output.CanGetUnflushedBytes || output.UnflushedBytes > 0) return false;
        try
        {
            if (!input.TryRead(out var read)) return clientIsDone;
            input.AdvanceTo(read.Buffer.End);
            return read.IsCompleted;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Cut, or reset.
            return true;
        }
    }

    private async Task LingerAsync(ConnectionContext connection, IHalfClose transport)
    {
        using var deadline = new CancellationTokenSource(Longest, time);
        using var stop = _stopping.Token.UnsafeRegister(
            static deadline => ((CancellationTokenSource)deadline!).CancelAfter(AtTheStop), deadline);
        try
        {
            await connection.Transport.Output.FlushAsync(deadline.Token).ConfigureAwait(false);
            transport.ShutdownSend();
            await DiscardAsync(connection, deadline.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or ObjectDisposedException)
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
