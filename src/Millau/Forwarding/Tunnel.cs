using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Millau.Ingress;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// Passes bytes both ways after a switch of protocols (RFC 9110 section 7.8), until both sides have ended or one has
/// failed. A tunnel in which nothing is said holds no buffer for its client.
/// </summary>
internal static class Tunnel
{
    // A client that has ended its side may have gone altogether: that shows only when something is sent to it.
    private static readonly TimeSpan SilenceAfterEnd = TimeSpan.FromMinutes(5);

    /// <param name="downstream">The client's side after the switch.</param>
    /// <param name="upstream">The instance's; bytes it sent along with its head are passed on first.</param>
    /// <param name="outcome">Counts what passes.</param>
    /// <returns>Whether the instance ended its side, rather than broke off.</returns>
    public static async Task<bool> RunAsync(Exchange downstream, UpstreamConnection upstream, RequestOutcome outcome)
    {
        var over = new StrongBox<bool>();
        var toInstance = ToInstanceAsync(downstream, upstream, outcome, over);
        // The instance decides: when it has ended, nothing the client says can be answered any more. A client that has
        // ended may still be owed something, and a failed one ends the instance's side by the abort.
        var ended = await ToClientAsync(downstream, upstream, outcome, toInstance).ConfigureAwait(false);
        upstream.Abort();
        Volatile.Write(ref over.Value, true);
        downstream.Body.CancelPendingRead();
        await toInstance.ConfigureAwait(false);
        return ended;
    }

    private static async Task ToInstanceAsync(Exchange downstream, UpstreamConnection upstream, RequestOutcome outcome, StrongBox<bool> over)
    {
        var input = downstream.Body;
        try
        {
            while (true)
            {
                var read = await input.ReadAsync().ConfigureAwait(false);
                var buffer = read.Buffer;
                outcome.RequestBytes += buffer.Length;
                var taken = true;
                foreach (var piece in buffer)
                    taken = taken && await upstream.SendAsync(piece).ConfigureAwait(false) >= 0;
                input.AdvanceTo(buffer.End);
                // A read may be cancelled by others too, as when the process is to stop: the tunnel goes on then.
                if (!taken || Volatile.Read(ref over.Value)) return;
                if (read.IsCompleted) break;
            }
            upstream.ShutdownSend();
            upstream.SetDeadline(SilenceAfterEnd);
        }
        catch (Exception e) when (IsEnd(e))
        {
            upstream.Abort();
        }
    }

    // False when the instance broke off.
    private static async Task<bool> ToClientAsync(Exchange downstream, UpstreamConnection upstream, RequestOutcome outcome, Task toInstance)
    {
        try
        {
            while (true)
            {
                if (upstream.Buffered.IsEmpty)
                {
                    if (toInstance.IsCompleted) upstream.SetDeadline(SilenceAfterEnd);
                    var received = upstream.EndFill(await upstream.StartFill().ConfigureAwait(false));
                    if (received <= 0) return received == 0;
                    // A client that reads slowly is none that is silent.
                    upstream.ClearDeadline();
                }
                outcome.ResponseBytes += upstream.Buffered.Length;
                downstream.Write(upstream.Buffered.Span);
                upstream.Consume(upstream.Buffered.Length);
                // Else the client is gone.
                if (!await downstream.FlushAsync().ConfigureAwait(false)) return true;
            }
        }
        catch (Exception e) when (IsEnd(e))
        {
            // The client is gone.
            return true;
        }
    }

    private static bool IsEnd(Exception e) =>
        e is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException or BadHttpRequestException;
}
