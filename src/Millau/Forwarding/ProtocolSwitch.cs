using Microsoft.AspNetCore.Http;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// What becomes of an instance's <c>101</c>: a tunnel between it and the client. An HTTP/1.1 client switches its connection
/// (RFC 9110 section 7.8); an HTTP/2 client asked for a tunnel in a stream with an extended CONNECT (RFC 8441), for which a
/// success is <c>200</c>.
/// </summary>
internal static class ProtocolSwitch
{
    /// <summary>The instance switched to what the client asked for.</summary>
    public static bool IsRight(RequestContext context, UpstreamConnection connection) =>
        context.Upgrade is not null
        && (context.WebSocketKey is not { } key || WebSocketHandshake.IsAccepted(connection, key));

    /// <summary>
    /// The instance answered an extended CONNECT with a success that is no switch. The client would take it for a tunnel, and its
    /// body for what comes through.
    /// </summary>
    public static bool IsMistakable(RequestContext context, UpstreamConnection connection) =>
        context.WebSocketKey is not null && connection.Head.Status is >= 200 and < 300;

    /// <summary>Answers the client and passes bytes both ways until the end.</summary>
    public static async ValueTask RunAsync(RequestContext context, UpstreamConnection connection, ResponseRelay relay)
    {
        var exchange = context.Exchange;
        var isStream = context.WebSocketKey is not null;
        relay.BeginHead(context, connection, isStream ? StatusCodes.Status200OK : null);
        if (!isStream) exchange.Field("Upgrade"u8, ResponseRelay.Upgrade(connection) ?? context.Upgrade!);
        exchange.EndHead(-1, hasBody: isStream);
        exchange.AcceptTunnel();
        if (!await exchange.FlushAsync().ConfigureAwait(false)) return;
        if (await Tunnel.RunAsync(exchange, connection, context.Outcome).ConfigureAwait(false)) return;
        // An instance that broke off did not end its stream (RFC 8441 section 5: RST on one side is RST_STREAM on the other).
        if (context.IsHttp2) exchange.Abort();
    }
}
