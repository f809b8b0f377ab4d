using System.Runtime.CompilerServices;
using System.Text;
using Millau.Async;
using Millau.Http1;
using Millau.Ingress;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>How the relaying of a response ended.</summary>
internal enum RelayResult
{
    /// <summary>Whole; the instance's connection may carry another request.</summary>
    Reusable,

    /// <summary>Whole; the instance's connection is to be closed.</summary>
    Done,

    /// <summary>The instance stopped in the middle, or broke its framing.</summary>
    Broken,

    /// <summary>The client went.</summary>
    ClientGone,
}

/// <summary>Gives an instance's response to the client: its head, less what ends here, and its body as it comes.</summary>
/// <param name="servedBy">Millau's host name for <c>X-Served-By</c>; null leaves the debugging headers out.</param>
internal sealed class ResponseRelay(string? servedBy)
{
    /// <summary>Writes status and header fields of the response that the client will get; the head is not ended.</summary>
    /// <param name="context">The request's.</param>
    /// <param name="connection">Has the instance's head.</param>
    /// <param name="status">The client's status, if it is not the instance's.</param>
    public void BeginHead(RequestContext context, UpstreamConnection connection, int? status = null)
    {
        var head = connection.Head;
        var bytes = connection.HeadBytes;
        var exchange = context.Exchange;
        exchange.BeginHead(status ?? head.Status, bytes.Slice(head.ReasonStart, head.ReasonLength));
        var passesTrailers = PassesTrailers(context, head);
        var fields = head.Fields;
        // What stands side by side goes on together.
        var first = 0;
        for (var i = 0; i < fields.Length; i++)
        {
            ref readonly var field = ref fields[i];
            if (Passes(field, head, bytes, context)) continue;
            exchange.Copy(bytes, fields[first..i]);
            first = i + 1;
            if (passesTrailers && field.Known == FieldName.Trailer && Trailers.Announced(field.Value(bytes)) is { } names)
                exchange.Field(field.Name(bytes), names);
        }
        exchange.Copy(bytes, fields[first..]);
        if (servedBy is null) return;
        var served = connection.Instance.Served ??= new ServedFields(servedBy, connection.Instance.Name);
        exchange.Copy(served.Bytes, served.Fields);
    }

    private static bool Passes(in Field field, ResponseHead head, ReadOnlySpan<byte> bytes, RequestContext context) =>
        HeaderRules.ForResponse(field.Known) == HeaderRule.Pass
        && !(head.ConnectionNamesFields && IsNamed(head, bytes, field.Name(bytes)))
        // To an extended CONNECT it is the answer to Millau's key, not to one of the client's.
        && !(field.Known == FieldName.SecWebSocketAccept && context.WebSocketKey is not null);

    /// <summary>Gives the client the response, and its body as it comes. What is left unsent is small, and whoever ends the request sends it.</summary>
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    public async ValueTask<RelayResult> RelayAsync(RequestContext context, UpstreamConnection connection)
    {
        var head = connection.Head;
        var hasBody = !context.IsHead && head.Status is not (204 or 205 or 304);
        var trailers = hasBody && PassesTrailers(context, head);
        BeginHead(context, connection);
        // 204 has no length; 205 has no content either (RFC 9110 section 15.3.6), but its framing may say otherwise.
        var length = head.Status switch { 204 => -1, 205 => 0, _ => head.ContentLength };
        context.Exchange.EndHead(length, hasBody, trailers);
        if (head.Status == 205 && head.ContentLength != 0) return RelayResult.Done;
        if (!hasBody) return Finish(connection);
        var result = head switch
        {
            { IsChunked: true } => await BodyRelay.RelayChunkedAsync(connection, context.Exchange, context.Outcome, trailers)
                .ConfigureAwait(false),
            { ContentLength: >= 0 } => await BodyRelay.RelayLengthAsync(connection, context.Exchange, context.Outcome, head.ContentLength)
                .ConfigureAwait(false),
            _ => await BodyRelay.RelayToEndAsync(connection, context.Exchange, context.Outcome).ConfigureAwait(false),
        };
        return result == RelayResult.Done && (head.IsChunked || head.ContentLength >= 0) ? Finish(connection) : result;
    }

    // Trailers come behind a chunked body, and only to a client that takes them.
    private static bool PassesTrailers(RequestContext context, ResponseHead head) =>
        head.IsChunked && context.Exchange.Version != HttpVersion.Http10 && (context.IsHttp2 || context.TakesTrailers);

    // Bytes behind the body belong to no request: the connection is not to be trusted with another.
    private static RelayResult Finish(UpstreamConnection connection)
    {
        var head = connection.Head;
        // HTTP/1.0 knows no chunks: what sends them all the same is not to be trusted (RFC 9112 section 6.1).
        var persistent = head.MinorVersion == 1 ? !head.ConnectionClose : head.ConnectionKeepAlive && !head.IsChunked;
        return persistent && !head.HasBothFramings && connection.Buffered.IsEmpty
            ? RelayResult.Reusable
            : RelayResult.Done;
    }

    /// <summary>The protocol that the instance switches to, or null.</summary>
    public static string? Upgrade(UpstreamConnection connection)
    {
        foreach (var field in connection.Head.Fields)
            if (field.Known == FieldName.Upgrade) return Encoding.Latin1.GetString(field.Value(connection.HeadBytes));
        return null;
    }

    private static bool IsNamed(ResponseHead head, ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> name)
    {
        foreach (var field in head.Fields)
            if (field.Known == FieldName.Connection && HeaderRules.Names(field.Value(bytes), name)) return true;
        return false;
    }
}
