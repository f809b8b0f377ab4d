namespace Millau.Ingress;

/// <summary>What clients may take of the process. Times are met up to a second late.</summary>
internal sealed record ClientLimits
{
    /// <summary>Open connections of clients; more are closed at once.</summary>
    public int Connections { get; init; } = DescriptorLimit.Connections();

    /// <summary>From the first byte of a request to the end of its head.</summary>
    public TimeSpan Header { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a request's body may come slower than a byte a second.</summary>
    public TimeSpan Body { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a connection may lie between two requests.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromSeconds(130);

    /// <summary>How long an answer may be read slower than 240 bytes a second.</summary>
    public TimeSpan Reader { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Requests under way on one HTTP/2 connection.</summary>
    public int Streams { get; init; } = 100;
}
