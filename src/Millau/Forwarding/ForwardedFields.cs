using Millau.Http1;

namespace Millau.Forwarding;

/// <summary>
/// The fields that tell an instance where the request came from and for which host: of a client that asks again they are the same,
/// nearly always, and so their bytes are kept from request to request.
/// </summary>
internal sealed class ForwardedFields
{
    // What no usual host is longer than: an idle connection keeps it.
    private const int MostKept = 255;

    private byte[] _bytes = [];
    private string? _address;
    private string? _scheme;
    private string? _host;

    /// <summary>
    /// Writes them. Values of these that the client sent are not passed on: they are not to be trusted, or are in the context.
    /// </summary>
    public void Write(RequestContext context, RequestWriter writer)
    {
        var (address, scheme, host) = (context.ClientAddress, context.Exchange.Scheme, context.Host);
        // Through a trusted proxy come requests of many clients.
        var isDirect = context.ForwardedFor is null && context.ForwardedHost is null;
        if (isDirect && host == _host && scheme == _scheme && address == _address)
        {
            writer.Raw(_bytes);
            return;
        }
        var start = writer.Length;
        writer.Field("Host: "u8, host);
        writer.Field("X-Forwarded-For: "u8, context.ForwardedFor ?? address);
        writer.Field("X-Forwarded-Proto: "u8, scheme);
        writer.Field("X-Forwarded-Host: "u8, context.ForwardedHost ?? host);
        writer.Field("X-Real-IP: "u8, address);
        if (!isDirect || !writer.IsValid || host.Length > MostKept) return;
        (_address, _scheme, _host) = (address, scheme, host);
        _bytes = writer.Written.Span[start..].ToArray();
    }
}
