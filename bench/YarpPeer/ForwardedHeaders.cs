using Yarp.ReverseProxy.Forwarder;

namespace Millau.Bench.YarpPeer;

/// <summary>Adds the headers that every proxy of the bench adds, and keeps the client's Host.</summary>
internal sealed class ForwardedHeaders : HttpTransformer
{
    public override async ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest,
        string destinationPrefix, CancellationToken cancellationToken)
    {
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
        var client = httpContext.Connection.RemoteIpAddress?.ToString();
        var headers = proxyRequest.Headers;
        headers.Host = httpContext.Request.Host.Value;
        headers.TryAddWithoutValidation("X-Forwarded-For", client);
        headers.TryAddWithoutValidation("X-Forwarded-Proto", httpContext.Request.Scheme);
        headers.TryAddWithoutValidation("X-Forwarded-Host", httpContext.Request.Host.Value);
        headers.TryAddWithoutValidation("X-Real-IP", client);
    }
}
