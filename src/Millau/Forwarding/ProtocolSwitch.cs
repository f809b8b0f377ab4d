using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
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
        relay.CopyHead(context, connection);
        context.AllowHalfClose();
        await using var downstream = await (context.WebSocketKey is null
            ? UpgradeAsync(context, connection)
            : AcceptAsync(context)).ConfigureAwait(false);
        if (await Tunnel.RunAsync(downstream, connection, context.Outcome).ConfigureAwait(false)) return;
        // An instance that broke off did not end its stream (RFC 8441 section 5: RST on one side is RST_STREAM on the other).
        if (context.IsHttp2) context.AbortClient();
    }

    private static async ValueTask<Stream> UpgradeAsync(RequestContext context, UpstreamConnection connection)
    {
        context.Response.Headers.Upgrade = ResponseRelay.Upgrade(connection) ?? context.Upgrade;
        return await context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync().ConfigureAwait(false);
    }

    private static ValueTask<Stream> AcceptAsync(RequestContext context)
    {
        context.Response.StatusCode = StatusCodes.Status200OK;
        // The answer to Millau's key, not to one of the client's.
        context.Response.Headers.SecWebSocketAccept = default;
        return context.Features.GetRequiredFeature<IHttpExtendedConnectFeature>().AcceptAsync();
    }
}
