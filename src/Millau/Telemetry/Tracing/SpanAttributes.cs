using System.Diagnostics;
using System.Globalization;
using Millau.Forwarding;
using Millau.Upstreams;

namespace Millau.Telemetry.Tracing;

/// <summary>Values of span attributes, by the semantic conventions of OpenTelemetry for HTTP (stable since 1.23).</summary>
internal static class SpanAttributes
{
    private const string Other = "_OTHER";

    /// <summary>The method, if it is a known one: RFC 9110, PATCH and QUERY; so that clients cannot invent span names.</summary>
    public static string Method(string method) =>
        method is "GET" or "HEAD" or "POST" or "PUT" or "DELETE" or "CONNECT" or "OPTIONS" or "TRACE" or "PATCH" or "QUERY" ? method : Other;

    public static string SpanName(string method) => method == Other ? "HTTP" : method;

    public static void SetMethod(Activity span, string original, string method)
    {
        span.SetTag("http.request.method", method);
        if (method == Other) span.SetTag("http.request.method_original", original);
    }

    /// <summary><c>HTTP/1.1</c> is <c>1.1</c>.</summary>
    public static string Version(string protocol) =>
        protocol.StartsWith("HTTP/", StringComparison.Ordinal) ? protocol["HTTP/".Length..] : protocol;

    public static string Scheme(UpstreamInstance instance) => instance.Service.Tls is null ? "http" : "https";

    /// <summary>Where the client wanted to go: name, and port if it named one.</summary>
    public static void SetServer(Activity span, string host)
    {
        if (host.Length == 0) return;
        var colon = host.LastIndexOf(':');
        var hasPort = colon > 0 && host[^1] != ']';
        span.SetTag("server.address", hasPort ? host[..colon] : host);
        if (hasPort && int.TryParse(host.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
            span.SetTag("server.port", port);
    }

    /// <param name="span">The span.</param>
    /// <param name="status">The status of the response.</param>
    /// <param name="isErrorFrom">The least status that is an error: to who asked it is 400, to who serves 500.</param>
    public static void SetStatus(Activity span, int status, int isErrorFrom)
    {
        span.SetTag("http.response.status_code", status);
        if (status >= isErrorFrom) SetError(span, status.ToString(CultureInfo.InvariantCulture));
    }

    public static void SetError(Activity span, string type)
    {
        span.SetTag("error.type", type);
        span.SetStatus(ActivityStatusCode.Error);
    }

    public static string ErrorType(AttemptFailure failure) => failure switch
    {
        AttemptFailure.Connect => "connect_failed",
        AttemptFailure.ConnectTimeout => "connect_timeout",
        AttemptFailure.Local => "no_socket",
        AttemptFailure.Stale or AttemptFailure.Closed => "closed",
        AttemptFailure.BrokenResponse => "broken_response",
        AttemptFailure.Timeout => "timeout",
        _ => "failed",
    };
}
