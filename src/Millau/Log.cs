using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Millau;

/// <summary>
/// Every message that Millau logs. Event ids by area: 1xx process, 2xx discovery, 3xx routing, 4xx upstreams,
/// 5xx forwarding, 6xx telemetry, 7xx TLS, 8xx ACME, 9xx access log and tracing.
/// </summary>
/// <remarks>
/// A message is words, then <c>key={Key}</c>: the key is the parameter's name in snake_case, which is also the field's name
/// in JSON. What may hold spaces is quoted. Nothing that a client can cause stands above DEBUG unless
/// <see cref="IsCausedByRequests"/> bounds it.
/// </remarks>
internal static partial class Log
{
    /// <summary>Messages above DEBUG that clients can cause again and again: written a bounded number of times a minute.</summary>
    public static bool IsCausedByRequests(EventId id) => id.Id is InstanceLeftOutId or (>= 500 and < 600);

    private const int InstanceLeftOutId = 405;

    // 1xx process

    [LoggerMessage(101, LogLevel.Information, "{Title} http=:{Http} https=:{Https} telemetry=:{Telemetry} engine={Engine}")]
    public static partial void Starting(ILogger logger, string title, int http, int https, int telemetry, string engine);

    [LoggerMessage(102, LogLevel.Information, "listening http=:{Http} https=:{Https}")]
    public static partial void Listening(ILogger logger, int http, int https);

    [LoggerMessage(103, LogLevel.Critical, "{Error}")]
    public static partial void BadSetting(ILogger logger, string error);

    [LoggerMessage(104, LogLevel.Critical, "cannot listen error=\"{Error}\"")]
    public static partial void CannotListen(ILogger logger, string error);

    [LoggerMessage(105, LogLevel.Information, "draining: no new connections, requests in flight finish")]
    public static partial void Draining(ILogger logger);

    [LoggerMessage(106, LogLevel.Information, "stopped")]
    public static partial void Stopped(ILogger logger);

    [LoggerMessage(107, LogLevel.Warning, "log lines dropped, nobody took them in time lines={Lines}")]
    public static partial void LogLinesDropped(ILogger logger, long lines);

    // 2xx discovery

    [LoggerMessage(200, LogLevel.Information, "engine connected host={Host} server={Server} api={Api}")]
    public static partial void EngineConnected(ILogger log, string host, string server, string api);

    [LoggerMessage(201, LogLevel.Information, "engine connection lost, connecting anew error=\"{Error}\"")]
    public static partial void EngineConnectionLost(ILogger log, string error);

    [LoggerMessage(202, LogLevel.Warning, "engine unreachable, the last known routes stay host={Host} error=\"{Error}\"")]
    public static partial void EngineUnreachable(ILogger log, string host, string error);

    [LoggerMessage(203, LogLevel.Debug, "engine still unreachable error=\"{Error}\" attempts={Attempts}")]
    public static partial void EngineStillUnreachable(ILogger log, string error, int attempts);

    [LoggerMessage(204, LogLevel.Information, "engine is in no swarm, so only its containers are routed reason=\"{Reason}\"")]
    public static partial void NoSwarm(ILogger log, string reason);

    [LoggerMessage(205, LogLevel.Warning,
        "engine is no swarm manager, so services are not seen; run on a manager, or name one in DOCKER_HOST reason=\"{Reason}\"")]
    public static partial void NoManager(ILogger log, string reason);

    [LoggerMessage(206, LogLevel.Warning, "engine refuses a path error=\"{Error}\" lost=\"{Lost}\"")]
    public static partial void PathForbidden(ILogger log, string error, string lost);

    [LoggerMessage(207, LogLevel.Warning, "engine cannot be read, the last known state stays what=\"{What}\" error=\"{Error}\"")]
    public static partial void ListsStale(ILogger log, string what, string error);

    [LoggerMessage(208, LogLevel.Information, "engine can be read again what=\"{What}\"")]
    public static partial void ListsCurrentAgain(ILogger log, string what);

    [LoggerMessage(209, LogLevel.Warning, "engine shows a sudden empty list, asking again path={Path} known={Known}")]
    public static partial void EmptyListNotBelieved(ILogger log, string path, int known);

    [LoggerMessage(210, LogLevel.Information, "services found total={Total} routed={Routed}")]
    public static partial void ServicesFound(ILogger log, int total, int routed);

    [LoggerMessage(211, LogLevel.Information, "service routed service={Service} {Labels} instances={Instances}")]
    public static partial void ServiceRouted(
        ILogger log, string service, Discovery.ServiceLabels labels, int instances);

    [LoggerMessage(212, LogLevel.Information, "service routing changed service={Service} {Labels} before=\"{Before}\"")]
    public static partial void ServiceRoutingChanged(
        ILogger log, string service, Discovery.ServiceLabels labels, Discovery.ServiceLabels before);

    [LoggerMessage(213, LogLevel.Information, "service no longer routed service={Service} reason=\"{Reason}\"")]
    public static partial void ServiceUnrouted(ILogger log, string service, string reason);

    [LoggerMessage(214, LogLevel.Information, "service not routed service={Service} reason=\"{Reason}\"")]
    public static partial void ServiceNotRouted(ILogger log, string service, string reason);

    [LoggerMessage(215, LogLevel.Debug, "service without millau labels, not routed service={Service}")]
    public static partial void ServiceWithoutLabels(ILogger log, string service);

    [LoggerMessage(216, LogLevel.Information, "service removed, known but down for now service={Service}")]
    public static partial void ServiceRemoved(ILogger log, string service);

    [LoggerMessage(217, LogLevel.Information, "service forgotten, removed some time ago service={Service}")]
    public static partial void ServiceForgotten(ILogger log, string service);

    [LoggerMessage(220, LogLevel.Warning,
        "wrong label service={Service} label={Label} value=\"{Value}\" allowed=\"{Allowed}\" result=\"{Result}\"")]
    public static partial void WrongLabel(
        ILogger log, string service, string label, string value, string allowed, string result);

    [LoggerMessage(221, LogLevel.Warning, "wrong labels service={Service} notice=\"{Notice}\"")]
    public static partial void WrongDeployment(ILogger log, string service, string notice);

    [LoggerMessage(222, LogLevel.Warning,
        "no shared network service={Service} its_networks={ItsNetworks} reachable_networks={ReachableNetworks}")]
    public static partial void NoSharedNetwork(ILogger log, string service, string itsNetworks, string reachableNetworks);

    [LoggerMessage(230, LogLevel.Information, "reachable networks networks={Networks}")]
    public static partial void OwnNetworks(ILogger log, string networks);

    [LoggerMessage(231, LogLevel.Warning,
        "own networks unknown, going by the subnets of the own interfaces error=\"{Error}\" subnets={Subnets}")]
    public static partial void OwnNetworksUnknown(ILogger log, string error, string subnets);

    [LoggerMessage(232, LogLevel.Warning,
        "own ports are published in ingress mode, so the addresses of clients are lost: ports={Ports}; publish them in host mode")]
    public static partial void OwnPortsInMesh(ILogger log, string ports);

    [LoggerMessage(240, LogLevel.Debug, "engine event type={Type} action={Action} id={Id}")]
    public static partial void EngineEvent(ILogger log, string? type, string action, string id);

    [LoggerMessage(241, LogLevel.Debug, "engine read what=\"{What}\" items={Items} tasks={Tasks} milliseconds={Milliseconds}")]
    public static partial void EngineRead(ILogger log, string what, int items, int tasks, double milliseconds);

    [LoggerMessage(250, LogLevel.Error, "discovery failed, starting anew")]
    public static partial void DiscoveryFailed(ILogger log, Exception exception);

    // 3xx routing

    // 4xx upstreams

    [LoggerMessage(401, LogLevel.Information, "instance up service={Service} instance={Instance} address={Address}")]
    public static partial void InstanceUp(ILogger logger, string service, string instance, IPEndPoint address);

    [LoggerMessage(402, LogLevel.Information, "instance stopping service={Service} instance={Instance} address={Address}")]
    public static partial void InstanceStopping(ILogger logger, string service, string instance, IPEndPoint address);

    [LoggerMessage(403, LogLevel.Information, "instance gone service={Service} instance={Instance} address={Address}")]
    public static partial void InstanceGone(ILogger logger, string service, string instance, IPEndPoint address);

    [LoggerMessage(404, LogLevel.Warning,
        "instance runs but does not accept connections yet, does it listen on the port in millau.port, on all its addresses? " +
        "service={Service} instance={Instance} address={Address} error={Error}")]
    public static partial void InstanceNotAccepting(
        ILogger logger, string service, string instance, IPEndPoint address, Upstreams.ConnectResult error);

    [LoggerMessage(InstanceLeftOutId, LogLevel.Warning,
        "instance left out service={Service} instance={Instance} address={Address} reason=\"{Reason}\" seconds={Seconds}")]
    public static partial void InstanceLeftOut(
        ILogger logger, string service, string instance, IPEndPoint address, string reason, double seconds);

    // 5xx forwarding

    [LoggerMessage(507, LogLevel.Error, "event loop failed")]
    public static partial void LoopFailed(ILogger logger, Exception exception);

    [LoggerMessage(508, LogLevel.Warning, "no more connections accepted for now end_point={EndPoint} error={Error}")]
    public static partial void NoMoreConnections(ILogger logger, EndPoint endPoint, SocketError error);

    [LoggerMessage(501, LogLevel.Debug,
        "attempt failed method={Method} host={Host} service={Service} instance={Instance} reason=\"{Reason}\"")]
    public static partial void AttemptFailed(
        ILogger logger, string method, string host, string service, string instance, string reason);

    [LoggerMessage(502, LogLevel.Warning,
        "response cut short, client connection closed service={Service} instance={Instance} host={Host}")]
    public static partial void ResponseCut(ILogger logger, string service, string instance, string host);

    [LoggerMessage(503, LogLevel.Warning, "request refused client={Client} reason=\"{Reason}\"")]
    public static partial void Refused(ILogger logger, string client, string reason);

    [LoggerMessage(504, LogLevel.Debug, "client gone client={Client} host={Host}")]
    public static partial void ClientGone(ILogger logger, string client, string host);

    [LoggerMessage(505, LogLevel.Error, "request failed method={Method} host={Host}")]
    public static partial void RequestFailed(ILogger logger, Exception exception, string method, string host);

    [LoggerMessage(506, LogLevel.Error, "no socket for an instance error={Error}")]
    public static partial void NoSocket(ILogger logger, SocketError error);

    [LoggerMessage(521, LogLevel.Debug, "connection refused, there are too many most={Most}")]
    public static partial void TooManyConnections(ILogger logger, int most);

    [LoggerMessage(522, LogLevel.Error, "connection failed")]
    public static partial void ConnectionFailed(ILogger logger, Exception exception);

    [LoggerMessage(523, LogLevel.Debug, "no TLS handshake peer={Peer} reason=\"{Reason}\"")]
    public static partial void HandshakeFailed(ILogger logger, EndPoint? peer, string reason);

    [LoggerMessage(520, LogLevel.Debug, "connection of a trusted proxy refused, no header of the PROXY protocol peer={Peer}")]
    public static partial void BadProxyHeader(ILogger logger, EndPoint? peer);

    // 6xx telemetry

    [LoggerMessage(600, LogLevel.Information, "Healthy")]
    public static partial void HealthUp(ILogger logger);

    [LoggerMessage(601, LogLevel.Error, "Unhealthy condition={Condition} reason=\"{Reason}\"")]
    public static partial void HealthDown(ILogger logger, string condition, string reason);

    // 7xx TLS

    [LoggerMessage(700, LogLevel.Information, "certificate in force service={Service} names=\"{Names}\" expires={Expires:yyyy-MM-dd}")]
    public static partial void CertificateLoaded(ILogger log, string service, string names, DateTimeOffset expires);

    [LoggerMessage(701, LogLevel.Warning, "certificate wrong service={Service} reason=\"{Reason}\" result=\"{Result}\"")]
    public static partial void WrongCertificate(ILogger log, string service, string reason, string result);

    [LoggerMessage(702, LogLevel.Warning,
        "private key in a label service={Service} label={Label}: whoever reaches the Engine can read it; " +
        "better keep it in a secret of Millau's own service, and write secret:NAME in the label")]
    public static partial void KeyInLabel(ILogger log, string service, string label);

    [LoggerMessage(710, LogLevel.Information,
        "TLS with instances service={Service} servername={Servername} ca=\"{Ca}\" certificate=\"{Certificate}\"")]
    public static partial void InstanceTlsLoaded(ILogger log, string service, string servername, string ca, string certificate);

    [LoggerMessage(711, LogLevel.Warning, "TLS with instances wrong service={Service} reason=\"{Reason}\" result=\"{Result}\"")]
    public static partial void WrongInstanceTls(ILogger log, string service, string reason, string result);

    [LoggerMessage(712, LogLevel.Information, "clients need a certificate service={Service} ca=\"{Ca}\"")]
    public static partial void ClientAuthorityLoaded(ILogger log, string service, string ca);

    [LoggerMessage(714, LogLevel.Debug, "client certificate refused client={Client} reason=\"{Reason}\"")]
    public static partial void ClientCertificateRefused(ILogger log, string client, string reason);

    [LoggerMessage(713, LogLevel.Warning, "CA of clients wrong service={Service} reason=\"{Reason}\" result=\"{Result}\"")]
    public static partial void WrongClientAuthority(ILogger log, string service, string reason, string result);

    // 8xx acme

    [LoggerMessage(801, LogLevel.Information, "acme account ready: account={Account} email={Email} terms_agreed_to={TermsAgreedTo}")]
    public static partial void AcmeAccountReady(ILogger log, string account, string email, string termsAgreedTo);

    [LoggerMessage(802, LogLevel.Warning, "acme contact not changed: error=\"{Error}\"")]
    public static partial void AcmeContactNotChanged(ILogger log, string error);

    [LoggerMessage(803, LogLevel.Information, "acme certificates loaded: count={Count} directory={Directory}")]
    public static partial void AcmeCertificatesLoaded(ILogger log, int count, string directory);

    [LoggerMessage(804, LogLevel.Information, "acme certificate ordered: names={Names} service={Service} reason={Reason}")]
    public static partial void AcmeOrdering(ILogger log, string names, string service, string reason);

    [LoggerMessage(805, LogLevel.Information,
        "acme certificate ready: names={Names} service={Service} expires={Expires:yyyy-MM-ddTHH:mm:ssZ} renewal={Renewal:yyyy-MM-ddTHH:mm:ssZ} challenge={Challenge}")]
    public static partial void AcmeCertificateReady(
        ILogger log, string names, string service, DateTimeOffset expires, DateTimeOffset renewal, string challenge);

    [LoggerMessage(806, LogLevel.Warning,
        "acme certificate not obtained: name={Name} challenge={Challenge} error=\"{Error}\" failures={Failures} next_try_seconds={NextTrySeconds:0}")]
    public static partial void AcmeNameFailed(ILogger log, string name, string challenge, string error, int failures, double nextTrySeconds);

    [LoggerMessage(807, LogLevel.Warning,
        "acme authority cannot be used, current certificates stay: authority={Authority} error=\"{Error}\" failures={Failures} next_try_seconds={NextTrySeconds:0}")]
    public static partial void AcmeAuthorityFailed(ILogger log, string authority, string error, int failures, double nextTrySeconds);

    [LoggerMessage(808, LogLevel.Information,
        "acme renewal suggested by the authority: names={Names} renewal={Renewal:yyyy-MM-ddTHH:mm:ssZ} explanation={Explanation}")]
    public static partial void AcmeRenewalSuggested(ILogger log, string names, DateTimeOffset renewal, string explanation);

    [LoggerMessage(809, LogLevel.Debug, "acme renewal not suggested: names={Names} error=\"{Error}\"")]
    public static partial void AcmeNoSuggestion(ILogger log, string names, string error);

    [LoggerMessage(810, LogLevel.Error,
        "acme state cannot be written, it is in memory only and a restart loses it: directory={Directory} error=\"{Error}\"")]
    public static partial void AcmeStateNotKept(ILogger log, string directory, string error);

    [LoggerMessage(811, LogLevel.Information, "acme state is written again: directory={Directory}")]
    public static partial void AcmeStateKeptAgain(ILogger log, string directory);

    [LoggerMessage(812, LogLevel.Warning, "acme file cannot be used: file={File} error=\"{Error}\"")]
    public static partial void AcmeFileBroken(ILogger log, string file, string error);

    [LoggerMessage(813, LogLevel.Warning,
        "acme authority has another time, which is used for renewals: difference={Difference} authority={Authority}; is the clock of this machine right?")]
    public static partial void AcmeClockWrong(ILogger log, TimeSpan difference, string authority);

    [LoggerMessage(814, LogLevel.Warning,
        "acme profile not offered, certificates have the authority's default: profile={Profile} offered={Offered}")]
    public static partial void AcmeProfileNotOffered(ILogger log, string profile, string offered);

    [LoggerMessage(816, LogLevel.Warning, "acme account not known any more, registering anew: error=\"{Error}\"")]
    public static partial void AcmeAccountLost(ILogger log, string error);

    [LoggerMessage(815, LogLevel.Error, "acme failed, going on")]
    public static partial void AcmeFailed(ILogger log, Exception exception);

    // 9xx access log and tracing

    [LoggerMessage(900, LogLevel.Warning, "access log lines dropped, nobody took them in time lines={Lines}")]
    public static partial void AccessLinesDropped(ILogger logger, long lines);

    [LoggerMessage(901, LogLevel.Warning, "traces cannot be delivered endpoint={Endpoint}")]
    public static partial void TracesNotDelivered(ILogger logger, string endpoint);

    [LoggerMessage(902, LogLevel.Information, "traces are delivered again endpoint={Endpoint}")]
    public static partial void TracesDeliveredAgain(ILogger logger, string endpoint);
}
