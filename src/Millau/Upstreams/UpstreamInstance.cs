using System.Net;

namespace Millau.Upstreams;

/// <summary>
/// One instance: health, requests in flight and pooled connections. Keyed by task identity, so that it carries over
/// from one route table to the next.
/// </summary>
internal sealed class UpstreamInstance(string id, string name, IPEndPoint endPoint)
{
    public string Id { get; } = id;
    public string Name { get; } = name;
    public IPEndPoint EndPoint { get; } = endPoint;
}
