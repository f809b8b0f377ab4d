using System.Buffers;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// Passes bytes both ways after a switch of protocols (RFC 9110 section 7.8), until both sides have ended or one has
/// failed.
/// </summary>
internal static class Tunnel
{
    private const int BufferSize = 16 * 1024;

    /// <param name="downstream">The client's connection after the switch.</param>
    /// <param name="upstream">The instance's; bytes it sent along with its head are passed on first.</param>
    /// <param name="outcome">Counts what passes.</param>
    public static async Task RunAsync(Stream downstream, UpstreamConnection upstream, RequestOutcome outcome)
    {
        using var ended = new CancellationTokenSource();
        var toInstance = ToInstanceAsync(downstream, upstream, outcome, ended.Token);
        var toClient = ToClientAsync(downstream, upstream, outcome);
        // The instance decides: when it has ended, nothing the client says can be answered any more. A client that has
        // ended may still be owed something, and a failed one ends the instance's side by the abort.
        await toClient.ConfigureAwait(false);
        upstream.Abort();
        await ended.CancelAsync().ConfigureAwait(false);
        await toInstance.ConfigureAwait(false);
    }

    private static async Task ToInstanceAsync(
        Stream downstream, UpstreamConnection upstream, RequestOutcome outcome, CancellationToken ended)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            while (true)
            {
                var read = await downstream.ReadAsync(buffer, ended).ConfigureAwait(false);
                if (read == 0) break;
                outcome.RequestBytes += read;
                if (await upstream.SendAsync(buffer.AsMemory(0, read)).ConfigureAwait(false) < 0) return;
            }
            upstream.ShutdownSend();
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            upstream.Abort();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static async Task ToClientAsync(Stream downstream, UpstreamConnection upstream, RequestOutcome outcome)
    {
        try
        {
            while (true)
            {
                if (upstream.Buffered.IsEmpty && await upstream.FillAsync().ConfigureAwait(false) <= 0) return;
                outcome.ResponseBytes += upstream.Buffered.Length;
                await downstream.WriteAsync(upstream.Buffered).ConfigureAwait(false);
                await downstream.FlushAsync().ConfigureAwait(false);
                upstream.Consume(upstream.Buffered.Length);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // The client is gone.
        }
    }
}
