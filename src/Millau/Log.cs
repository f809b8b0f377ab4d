using Microsoft.Extensions.Logging;

namespace Millau;

/// <summary>
/// Every message that Millau logs. Event ids by area: 1xx process, 2xx discovery, 3xx routing, 4xx upstreams,
/// 5xx forwarding, 6xx telemetry.
/// </summary>
internal static partial class Log
{
    // 1xx process

    // 2xx discovery

    // 3xx routing

    // 4xx upstreams

    // 5xx forwarding

    // 6xx telemetry

    [LoggerMessage(600, LogLevel.Information, "Healthy")]
    public static partial void HealthUp(ILogger logger);

    [LoggerMessage(601, LogLevel.Error, "Unhealthy condition={Condition} reason=\"{Reason}\"")]
    public static partial void HealthDown(ILogger logger, string condition, string reason);
}
