namespace Millau.Ingress;

/// <summary>What answers requests: the proxy, or the pages of the telemetry port.</summary>
internal interface IRequestHandler
{
    /// <summary>
    /// Answers one request. What it throws is logged, and the client gets 500 or is cut off; it keeps nothing of the exchange but its
    /// <see cref="Exchange.State"/>.
    /// </summary>
    public ValueTask HandleAsync(Exchange exchange);
}
