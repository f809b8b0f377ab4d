using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Millau.Forwarding;

/// <summary>
/// How a chunked response is given to a client that takes trailers. HTTP/2 has a place for them beside the body. HTTP/1.1
/// has them in the framing, which Kestrel writes without any; so there the framing is written here, as it is not by Kestrel
/// when the response already says <c>Transfer-Encoding</c>.
/// </summary>
internal sealed class TrailerSink
{
    private readonly IHttpResponseTrailersFeature? _beside;

    private TrailerSink(IHttpResponseTrailersFeature? beside) => _beside = beside;

    /// <summary>For a response that has not started. Null for HTTP/1.0, which knows no chunks.</summary>
    public static TrailerSink? For(RequestContext context)
    {
        if (context.IsHttp2) return new(context.Features.GetRequiredFeature<IHttpResponseTrailersFeature>());
        if (context.Request.Protocol != "HTTP/1.1") return null;
        context.Response.Headers.TransferEncoding = "chunked";
        return new(null);
    }

    /// <summary>Writes bytes of the body.</summary>
    public void Write(PipeWriter writer, ReadOnlySpan<byte> data)
    {
        if (_beside is not null)
        {
            writer.Write(data);
            return;
        }
        Utf8Formatter.TryFormat(data.Length, writer.GetSpan(16), out var length, 'x');
        writer.Advance(length);
        writer.Write("\r\n"u8);
        writer.Write(data);
        writer.Write("\r\n"u8);
    }

    /// <summary>Ends the body.</summary>
    /// <param name="writer">Where the body was written.</param>
    /// <param name="trailers">Those that pass; checked. Null for none.</param>
    public void End(PipeWriter writer, List<(string Name, string Value)>? trailers)
    {
        if (_beside is null) writer.Write("0\r\n"u8);
        foreach (var (name, value) in trailers ?? [])
        {
            if (_beside is not null) _beside.Trailers.Append(name, value);
            else Encoding.Latin1.GetBytes($"{name}: {value}\r\n", writer);
        }
        if (_beside is null) writer.Write("\r\n"u8);
    }
}
