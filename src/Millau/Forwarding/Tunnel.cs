using Millau.Memory;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// Passes bytes both ways after a switch of protocols (RFC 9110 section 7.8), until both sides have ended or one has
/// failed.
/// </summary>
internal static class Tunnel
{
    private const int BufferSize = 16 * 1024;

    // A client that has ended its side may have gone altogether: that shows only when something is sent to it.
    private static readonly TimeSpan SilenceAfterEnd = TimeSpan.FromMinutes(5);

    /// <param name="downstream">The client's connection after the switch.</param>
    /// <param name="upstream">The instance's; bytes it sent along with its head are passed on first.</param>
    /// <param name="outcome">Counts what passes.</param>
    /// <returns>Whether the instance ended its side, rather than broke off.</returns>
    public static async Task<bool> RunAsync(Stream downstream, UpstreamConnection upstream, RequestOutcome outcome)
    {
        using var over = new CancellationTokenSource();
        var toInstance = ToInstanceAsync(downstream, upstream, outcome, over.Token);
        var toClient = ToClientAsync(downstream, upstream, outcome, toInstance);
        // The instance decides: when it has ended, nothing the client says can be answered any more. A client that has
        // ended may still be owed something, and a failed one ends the instance's side by the abort.
        var ended = await toClient.ConfigureAwait(false);
        upstream.Abort();
        await over.CancelAsync().ConfigureAwait(false);
        await toInstance.ConfigureAwait(false);
        return ended;
    }

    private static async Task ToInstanceAsync(
        Stream downstream, UpstreamConnection upstream, RequestOutcome outcome, CancellationToken over)
    {
        var buffer = BufferPool.Shared.Rent(BufferSize);
        try
        {
            while (true)
            {
                var read = await downstream.ReadAsync(buffer, over).ConfigureAwait(false);
                if (read == 0) break;
                outcome.RequestBytes += read;
                if (await upstream.SendAsync(buffer.AsMemory(0, read)).ConfigureAwait(false) < 0) return;
            }
            upstream.ShutdownSend();
            upstream.SetDeadline(SilenceAfterEnd);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            upstream.Abort();
        }
        finally
        {
            BufferPool.Shared.Return(buffer);
        }
    }

    // False when the instance broke off.
    private static async Task<bool> ToClientAsync(
        Stream downstream, UpstreamConnection upstream, RequestOutcome outcome, Task toInstance)
    {
        try
        {
            while (true)
            {
                if (upstream.Buffered.IsEmpty)
                {
                    if (toInstance.IsCompleted) upstream.SetDeadline(SilenceAfterEnd);
                    var received = await upstream.FillAsync().ConfigureAwait(false);
                    if (received <= 0) return received == 0;
                    // A client that reads slowly is none that is silent.
                    upstream.ClearDeadline();
                }
                outcome.ResponseBytes += upstream.Buffered.Length;
                await downstream.WriteAsync(upstream.Buffered).ConfigureAwait(false);
                await downstream.FlushAsync().ConfigureAwait(false);
                upstream.Consume(upstream.Buffered.Length);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // The client is gone.
            return true;
        }
    }
}
