using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Millau.Http1;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>Responses that Millau gives itself: one line of text.</summary>
internal static class Responses
{
    public static Task WriteAsync(RequestContext context, int status, string text) =>
        WriteAsync(context, status, Encoding.UTF8.GetBytes(text + "\n"));

    public static async Task WriteAsync(RequestContext context, int status, byte[] body)
    {
        context.Response.StatusCode = status;
        var headers = context.Response.Headers;
        headers.ContentType = "text/plain; charset=utf-8";
        headers.ContentLength = body.Length;
        if (context.IsHead) return;
        context.Outcome.ResponseBytes = body.Length;
        await context.ResponseBody.Writer.WriteAsync(body).ConfigureAwait(false);
    }

    /// <summary>503: nobody now, somebody soon.</summary>
    public static Task UnavailableAsync(RequestContext context, string text)
    {
        context.Response.Headers.RetryAfter = "5";
        return WriteAsync(context, StatusCodes.Status503ServiceUnavailable, text);
    }

    /// <summary>
    /// Passes an interim response on (RFC 9110 section 15.2). Kestrel has no way to send one, so on HTTP/1.1 it is
    /// written to the connection itself, where nothing else is written before the final response; an HTTP/1.0 client
    /// would not understand it, and on HTTP/2 it is dropped.
    /// </summary>
    public static async ValueTask ForwardInterimAsync(RequestContext context, UpstreamConnection connection)
    {
        if (context.Request.Protocol != "HTTP/1.1" || context.Response.HasStarted) return;
        if (context.Features.Get<IConnectionTransportFeature>() is not { } connectionFeature) return;
        var writer = new RequestWriter();
        WriteInterim(writer, connection);
        try
        {
            await connectionFeature.Transport.Output.WriteAsync(writer.Written).ConfigureAwait(false);
        }
        finally
        {
            writer.Release();
        }
    }

    private static void WriteInterim(RequestWriter writer, UpstreamConnection connection)
    {
        var head = connection.Head;
        var bytes = connection.HeadBytes;
        writer.Raw("HTTP/1.1 "u8);
        writer.Raw(bytes.Slice(9, 3));
        writer.Raw(" "u8);
        writer.Raw(bytes.Slice(head.ReasonStart, head.ReasonLength));
        writer.Raw("\r\n"u8);
        foreach (var field in head.Fields)
        {
            var (name, value) = connection.Strings.Get(int.MaxValue,
                bytes.Slice(field.NameStart, field.NameLength), bytes.Slice(field.ValueStart, field.ValueLength));
            if (HeaderRules.ForResponse(name) == HeaderRule.Pass) writer.Field(name, value);
        }
        writer.End();
    }
}
