namespace Millau.Ingress;

/// <summary>The version of HTTP that a client speaks.</summary>
internal enum HttpVersion : byte
{
    Http10,
    Http11,
    Http2,
}
