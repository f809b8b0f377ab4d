using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Millau.Transport;

namespace Millau.Upstreams;

/// <summary>
/// Finds out when a new instance accepts connections. Docker says <c>running</c> when the process has started, which
/// without a health check may be long before it listens; a request sent then would fail, and leave the instance out
/// for a whole retry period.
/// </summary>
internal sealed class InstanceProbe(
    UpstreamHeartbeat heartbeat, EventLoops? loops, Availability availability, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    // A server may open its port a moment before it is ready to speak TLS.
    private const int TlsAttempts = 5;

    /// <summary>
    /// Tries until the instance accepts or is retired, then says so. One that accepts but with which TLS fails is left
    /// out at once, with the reason: no request has to find out.
    /// </summary>
    public async Task RunAsync(UpstreamInstance instance)
    {
        var pause = FirstPause;
        for (var attempt = 1; !instance.IsRetired; attempt++)
        {
            var result = await TryConnectAsync(instance).ConfigureAwait(false);
            instance.ProbeError = result.Error;
            if (result.IsConnected)
            {
                // A request that came before the port was open may have left it out: that no longer holds.
                instance.Readmit();
                instance.IsAccepting = true;
                Log.InstanceUp(logger, instance.Service.Name, instance.Name, instance.EndPoint);
                availability.Change();
                return;
            }
            // What is wrong with our own labels is no fault of the instance, and is said where they are read.
            if (result.TlsFailure is { } reason && attempt >= TlsAttempts && instance.Service.Tls?.Current is not null)
            {
                instance.IsAccepting = true;
                instance.Tally.Failed(reason, time.GetUtcNow());
                if (instance.LeaveOut())
                    Log.InstanceLeftOut(logger, instance.Service.Name, instance.Name, instance.EndPoint, reason,
                        instance.Service.Retry.TotalSeconds);
                availability.Change();
                return;
            }
            // About five seconds of trying: worth a word, once.
            if (attempt == 15)
                Log.InstanceNotAccepting(logger, instance.Service.Name, instance.Name, instance.EndPoint, result);
            await Task.Delay(pause, time).ConfigureAwait(false);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    private async ValueTask<ConnectResult> TryConnectAsync(UpstreamInstance instance)
    {
        UpstreamConnection connection;
        try
        {
            connection = new UpstreamConnection(instance, heartbeat, loops?.Next());
        }
        catch (SocketException e)
        {
            return new(e.SocketErrorCode);
        }
        using (connection)
            return await connection.ConnectAsync(ConnectTimeout).ConfigureAwait(false);
    }
}
