using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Millau.Telemetry;

// The JSON of /status. Names and meaning of its fields are a contract, told in docs/status.md; fields may be added.

/// <summary>Everything that is known at one moment.</summary>
/// <param name="Status"><c>up</c> or <c>down</c>, as health says.</param>
/// <param name="Since">When it became so.</param>
/// <param name="Millau">This process.</param>
/// <param name="Engine">Where the services come from.</param>
/// <param name="Problems">Of Millau and the Engine; those of services are with them.</param>
/// <param name="Services">All that the Engine shows, by name.</param>
/// <param name="Certificates">All that clients may be shown.</param>
/// <param name="Acme">Automatic HTTPS; null if it is off.</param>
internal sealed record StatusReport(
    string Status,
    DateTimeOffset Since,
    MillauReport Millau,
    EngineReport Engine,
    ImmutableArray<ProblemReport> Problems,
    ImmutableArray<ServiceReport> Services,
    ImmutableArray<CertificateReport> Certificates,
    AcmeReport? Acme);

/// <summary>This process.</summary>
/// <param name="Networks">Where it reaches instances, in words.</param>
/// <param name="WaitingRequests">Requests that wait for an instance on its way up.</param>
internal sealed record MillauReport(
    string Version, string HostName, DateTimeOffset StartedAt, ImmutableArray<PortReport> Ports, string Networks,
    int WaitingRequests);

/// <summary>A port that is listened on.</summary>
/// <param name="Protocol"><c>http</c>, <c>https</c> or <c>telemetry</c>.</param>
internal sealed record PortReport(string Protocol, int Port);

/// <summary>The Engine as far as discovery knows it.</summary>
/// <param name="Since">When it became reachable, or ceased to be; null if it was never tried.</param>
/// <param name="LastError">In one line; empty if all is well.</param>
internal sealed record EngineReport(
    string Address, bool Reachable, DateTimeOffset? Since, DateTimeOffset? LastRead, string LastError, string Server,
    string ApiVersion);

/// <summary>What is wrong, and what to change; see <see cref="Discovery.Problem"/>.</summary>
/// <param name="Severity"><c>error</c>, <c>warning</c> or <c>info</c>.</param>
internal sealed record ProblemReport(string Code, string Severity, string Text, string Advice);

/// <summary>One service.</summary>
/// <param name="Name">As in Docker.</param>
/// <param name="Origin"><c>swarm</c> or <c>containers</c>.</param>
/// <param name="State">One of <see cref="ServiceStates"/>.</param>
/// <param name="Labels">Its millau labels; key material is hidden.</param>
/// <param name="Routing">What is in force; null if it is not routed.</param>
/// <param name="Wanted">How many instances are meant to run; null where Docker does not say.</param>
/// <param name="Ready">How many take requests like any other.</param>
/// <param name="InFlight">Attempts under way.</param>
/// <param name="SharesWith">Other services that answer for the same host and path, so that its traffic is shared with them.</param>
/// <param name="Problems">The worst first.</param>
internal sealed record ServiceReport(
    string Name,
    string Origin,
    string State,
    ImmutableArray<LabelReport> Labels,
    RoutingReport? Routing,
    ulong? Wanted,
    int Ready,
    int InFlight,
    ImmutableArray<string> SharesWith,
    ImmutableArray<ProblemReport> Problems,
    ImmutableArray<InstanceReport> Instances);

internal sealed record LabelReport(string Name, string Value);

/// <summary>What is in force for a service.</summary>
/// <param name="Service">The name under which logs, metrics and routes know it.</param>
internal sealed record RoutingReport(
    string Service, ImmutableArray<string> Hosts, string Path, int? Port, double TimeoutSeconds, double RetrySeconds,
    bool RedirectsToHttps);

/// <summary>One instance.</summary>
/// <param name="State">One of <see cref="InstanceStates"/>.</param>
/// <param name="Text">The state in words.</param>
/// <param name="LeftOutUntil">Null unless it is left out.</param>
/// <param name="InFlight">Attempts under way.</param>
/// <param name="Answers">Attempts that it answered.</param>
/// <param name="Failures">Attempts that failed.</param>
/// <param name="LatencyMilliseconds">Moving average up to the head of its answer; null before the first.</param>
/// <param name="LastFailure">In a few words; null if none failed.</param>
internal sealed record InstanceReport(
    string Id,
    string Name,
    string Address,
    string State,
    string Text,
    DateTimeOffset? LeftOutUntil,
    int InFlight,
    long Answers,
    long Failures,
    double? LatencyMilliseconds,
    string? LastFailure,
    DateTimeOffset? LastFailureAt);

/// <summary>One certificate.</summary>
/// <param name="Source"><c>label</c>, <c>acme</c> or <c>self-signed</c>.</param>
/// <param name="Service">Whose labels have it; empty if none have.</param>
/// <param name="NotAfter">When it expires; null if there is only a problem.</param>
/// <param name="Problem">What is wrong; empty if nothing is.</param>
internal sealed record CertificateReport(
    string Source, string Service, ImmutableArray<string> Names, DateTimeOffset? NotAfter, string Problem);

/// <summary>Automatic HTTPS.</summary>
/// <param name="Directory">The authority's.</param>
/// <param name="Error">Why the authority cannot be used now, in its words; empty if it can.</param>
/// <param name="StoreError">Why certificates are kept in memory only; empty if they are on disk.</param>
internal sealed record AcmeReport(
    string Directory, string Error, DateTimeOffset? NextTry, string StoreError, ImmutableArray<AcmeNameReport> Names);

/// <summary>One name that a certificate is wanted for.</summary>
/// <param name="State"><c>covered</c> by a label, <c>good</c>, <c>ordering</c> or <c>failed</c>.</param>
/// <param name="Failures">Orders that failed in a row.</param>
/// <param name="Error">The authority's words at the last failure; empty if it did not fail.</param>
internal sealed record AcmeNameReport(
    string Name, string Service, string State, DateTimeOffset? NotAfter, DateTimeOffset? RenewAt, int Failures, string Error,
    DateTimeOffset? NextTry);

/// <summary>States of services, from good to bad.</summary>
internal static class ServiceStates
{
    /// <summary>Every instance takes requests, and there is nothing to say against it.</summary>
    public const string Up = "up";

    /// <summary>Some instance takes requests.</summary>
    public const string Degraded = "degraded";

    /// <summary>Nobody takes requests yet; they wait.</summary>
    public const string Starting = "starting";

    /// <summary>Routed, but nobody is there.</summary>
    public const string Down = "down";

    /// <summary>Asks to be routed, and is not.</summary>
    public const string NotRouted = "not-routed";

    /// <summary>Does not ask.</summary>
    public const string NotAsked = "not-asked";

    /// <summary>Gone from Docker, known for a while.</summary>
    public const string Removed = "removed";
}

[JsonSerializable(typeof(StatusReport))]
[JsonSerializable(typeof(TrialReport))]
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
internal sealed partial class StatusJson : JsonSerializerContext;
