using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;
using Millau.Async;
using Millau.Http1;
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
    private static readonly StringValues ViaMillau = "1.1 millau";

    private readonly StringValues _servedBy = servedBy;

    /// <summary>Copies status and header fields to the response that the client will get.</summary>
    public void CopyHead(RequestContext context, UpstreamConnection connection)
    {
        var head = connection.Head;
        var bytes = connection.HeadBytes;
        var response = context.Response;
        var headers = response.Headers;
        response.StatusCode = head.Status;
        response.ReasonPhrase = Reason(head, bytes);
        var fields = head.Fields;
        for (var i = 0; i < fields.Length; i++)
        {
            var field = fields[i];
            var (name, value) = connection.Strings.Get(i,
                bytes.Slice(field.NameStart, field.NameLength), bytes.Slice(field.ValueStart, field.ValueLength));
            if (HeaderRules.ForResponse(name) != HeaderRule.Pass)
            {
                if (PassesTrailers(context, head) && name.Equals("Trailer", StringComparison.OrdinalIgnoreCase)
                    && Trailers.Announced(value) is { } names)
                    headers.Trailer = StringValues.Concat(headers.Trailer, names);
                continue;
            }
            if (head.ConnectionNamesFields && IsNamed(head, bytes, name)) continue;
            var existing = headers[name];
            headers[name] = existing.Count == 0 ? value : StringValues.Concat(existing, value);
        }
        if (servedBy is null) return;
        var via = headers.Via;
        headers.Via = via.Count == 0 ? ViaMillau : StringValues.Concat(via, ViaMillau);
        headers["X-Served-By"] = _servedBy;
        headers["X-Backend-Server"] = connection.Instance.Name;
    }

    /// <summary>Starts the response and relays its body.</summary>
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    public async ValueTask<RelayResult> RelayBodyAsync(RequestContext context, UpstreamConnection connection)
    {
        var head = connection.Head;
        var body = context.ResponseBody;
        var hasBody = !context.IsHead && head.Status is not (204 or 205 or 304);
        if (head.ContentLength >= 0 && head.Status is not (204 or 205)) context.Response.Headers.ContentLength = head.ContentLength;
        var trailers = PassesTrailers(context, head) && hasBody ? TrailerSink.For(context) : null;
        // From here on Kestrel's writer hands out its own buffers, so that the body is copied once or not at all.
        await body.StartAsync().ConfigureAwait(false);
        // 205 has no content (RFC 9110 section 15.3.6), but its framing may say otherwise.
        if (head.Status == 205 && head.ContentLength != 0) return RelayResult.Done;
        if (!hasBody) return Finish(connection);
        var result = head switch
        {
            { IsChunked: true } => await BodyRelay.RelayChunkedAsync(connection, body.Writer, context.Outcome, trailers)
                .ConfigureAwait(false),
            { ContentLength: >= 0 } => await BodyRelay.RelayLengthAsync(connection, body.Writer, context.Outcome, head.ContentLength)
                .ConfigureAwait(false),
            _ => await BodyRelay.RelayToEndAsync(connection, body.Writer, context.Outcome).ConfigureAwait(false),
        };
        return result == RelayResult.Done && (head.IsChunked || head.ContentLength >= 0) ? Finish(connection) : result;
    }

    // Trailers come behind a chunked body, and only to a client that takes them.
    private static bool PassesTrailers(RequestContext context, ResponseHead head) =>
        head.IsChunked && (context.IsHttp2 || context.TakesTrailers);

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
        var bytes = connection.HeadBytes;
        foreach (var field in connection.Head.Fields)
            if (Ascii.EqualsIgnoreCase(bytes.Slice(field.NameStart, field.NameLength), "upgrade"u8))
                return Encoding.Latin1.GetString(bytes.Slice(field.ValueStart, field.ValueLength));
        return null;
    }

    private static string? Reason(ResponseHead head, ReadOnlySpan<byte> bytes)
    {
        var reason = bytes.Slice(head.ReasonStart, head.ReasonLength);
        // The usual phrase is Kestrel's own, which it has ready as bytes.
        if (reason.IsEmpty || (head.Status == 200 && reason.SequenceEqual("OK"u8))) return null;
        return Encoding.Latin1.GetString(reason);
    }

    private static bool IsNamed(ResponseHead head, ReadOnlySpan<byte> bytes, string name)
    {
        foreach (var field in head.Fields)
        {
            if (!Ascii.EqualsIgnoreCase(bytes.Slice(field.NameStart, field.NameLength), "connection"u8)) continue;
            if (HeaderRules.Names(Encoding.Latin1.GetString(bytes.Slice(field.ValueStart, field.ValueLength)), name))
                return true;
        }
        return false;
    }
}
