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
}
