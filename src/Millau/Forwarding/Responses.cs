using System.Text;
using Microsoft.AspNetCore.Http;
using Millau.Http1;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>Responses that Millau gives itself: one line of text.</summary>
internal static class Responses
{
    public static Task WriteAsync(RequestContext context, int status, string text) => WriteAsync(context, status, text, null);

    /// <summary>503: nobody now, somebody soon.</summary>
    public static Task UnavailableAsync(RequestContext context, string text) =>
        WriteAsync(context, StatusCodes.Status503ServiceUnavailable, text, ("Retry-After", "5"));

    /// <param name="context">The request's.</param>
    /// <param name="status">The status.</param>
    /// <param name="text">The line, without its end.</param>
    /// <param name="field">One more header field, checked; null for none.</param>
    public static Task WriteAsync(RequestContext context, int status, string text, (string Name, string Value)? field) =>
        WriteAsync(context, status, Encoding.UTF8.GetBytes(text + "\n"), field);

    /// <inheritdoc cref="WriteAsync(RequestContext, int, string, ValueTuple{string, string}?)"/>
    public static Task WriteAsync(RequestContext context, int status, byte[] body, (string Name, string Value)? field = null)
    {
        var exchange = context.Exchange;
        exchange.BeginHead(status);
        exchange.Field("Content-Type"u8, "text/plain; charset=utf-8"u8);
        if (field is { } extra) exchange.Field(Encoding.ASCII.GetBytes(extra.Name), extra.Value);
        exchange.EndHead(body.Length, hasBody: !context.IsHead);
        if (context.IsHead) return Task.CompletedTask;
        context.Outcome.ResponseBytes = body.Length;
        // It is flushed when the request is over.
        exchange.Write(body);
        return Task.CompletedTask;
    }

    /// <summary>Passes an interim response on (RFC 9110 section 15.2). False when the client is gone.</summary>
    public static ValueTask<bool> ForwardInterimAsync(RequestContext context, UpstreamConnection connection)
    {
        var head = connection.Head;
        var bytes = connection.HeadBytes;
        var exchange = context.Exchange;
        exchange.BeginHead(head.Status, bytes.Slice(head.ReasonStart, head.ReasonLength));
        foreach (var field in head.Fields)
            if (HeaderRules.ForResponse(field.Known) == HeaderRule.Pass) exchange.Field(field.Name(bytes), field.Value(bytes));
        exchange.EndHead(-1, hasBody: false);
        return exchange.FlushAsync();
    }
}
