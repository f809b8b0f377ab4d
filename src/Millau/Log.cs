using System.Net;
using System.Net.Sockets;
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

    [LoggerMessage(401, LogLevel.Information, "instance up service={Service} instance={Instance} address={EndPoint}")]
    public static partial void InstanceUp(ILogger logger, string service, string instance, IPEndPoint endPoint);

    [LoggerMessage(402, LogLevel.Information, "instance stopping instance={Instance} address={EndPoint}")]
    public static partial void InstanceStopping(ILogger logger, string instance, IPEndPoint endPoint);

    [LoggerMessage(403, LogLevel.Information, "instance gone service={Service} instance={Instance} address={EndPoint}")]
    public static partial void InstanceGone(ILogger logger, string service, string instance, IPEndPoint endPoint);

    [LoggerMessage(404, LogLevel.Warning,
        "instance runs but does not accept connections yet service={Service} instance={Instance} address={EndPoint} " +
        "error={Error}: does it listen on the port in millau.port, on all its addresses?")]
    public static partial void InstanceNotAccepting(
        ILogger logger, string service, string instance, IPEndPoint endPoint, SocketError error);

    [LoggerMessage(405, LogLevel.Warning,
        "instance left out service={Service} instance={Instance} address={EndPoint} reason=\"{Reason}\" seconds={Seconds}")]
    public static partial void InstanceLeftOut(
        ILogger logger, string service, string instance, IPEndPoint endPoint, string reason, double seconds);

    // 5xx forwarding

    [LoggerMessage(501, LogLevel.Debug,
        "attempt failed method={Method} host={Host} service={Service} instance={Instance} reason=\"{Reason}\"")]
    public static partial void AttemptFailed(
        ILogger logger, string method, string host, string service, string instance, string reason);

    [LoggerMessage(502, LogLevel.Warning,
        "response cut short, client connection closed service={Service} instance={Instance} host={Host}")]
    public static partial void ResponseCut(ILogger logger, string service, string instance, string host);

    [LoggerMessage(503, LogLevel.Debug, "request refused client={Client} reason=\"{Reason}\"")]
    public static partial void Refused(ILogger logger, string client, string reason);

    [LoggerMessage(504, LogLevel.Debug, "client gone client={Client} host={Host}")]
    public static partial void ClientGone(ILogger logger, string client, string host);

    [LoggerMessage(505, LogLevel.Error, "request failed method={Method} host={Host}")]
    public static partial void RequestFailed(ILogger logger, Exception exception, string method, string host);

    [LoggerMessage(506, LogLevel.Error, "no socket for an instance error={Error}")]
    public static partial void NoSocket(ILogger logger, SocketError error);

    // 6xx telemetry

    [LoggerMessage(600, LogLevel.Information, "Healthy")]
    public static partial void HealthUp(ILogger logger);

    [LoggerMessage(601, LogLevel.Error, "Unhealthy condition={Condition} reason=\"{Reason}\"")]
    public static partial void HealthDown(ILogger logger, string condition, string reason);
}
