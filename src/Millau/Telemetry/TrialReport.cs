using System.Collections.Immutable;

namespace Millau.Telemetry;

/// <summary>A request that is only thought of.</summary>
/// <param name="Host">As a client would write it; may have a port.</param>
/// <param name="Scheme"><c>http</c> or <c>https</c>.</param>
/// <param name="Path">The target, with or without a query; as it would stand in the request line.</param>
/// <param name="Certificate">The client shows a certificate that every CA asked for accepts.</param>
internal sealed record TrialRequest(string Method, string Scheme, string Host, string Path, bool Certificate = false);

/// <summary>What would become of a request, and why. The JSON of <c>/status?host=…</c>; its names are a contract.</summary>
/// <param name="Outcome">One of <see cref="TrialOutcomes"/>.</param>
/// <param name="Status">What Millau itself would answer; null if an instance would be asked.</param>
/// <param name="Text">The outcome in a sentence.</param>
/// <param name="NormalizedHost">The host as it is compared: lower case, without port and trailing dot.</param>
/// <param name="MatchedPath">The path as it is compared: decoded, dot segments resolved, without the query.</param>
/// <param name="Hosts">The names that were looked for, best first.</param>
/// <param name="Routes">The routes that match, best first: each is the fallback of the one before.</param>
/// <param name="Instance">The instance that would be asked first; null if none would.</param>
/// <param name="Hints">Services that ask for this host and are not routed.</param>
internal sealed record TrialReport(
    TrialRequest Request,
    string Outcome,
    int? Status,
    string Text,
    string NormalizedHost,
    string MatchedPath,
    ImmutableArray<TrialHost> Hosts,
    ImmutableArray<TrialRoute> Routes,
    TrialInstance? Instance,
    ImmutableArray<string> Hints);

/// <summary>A name that was looked for.</summary>
/// <param name="Paths">The paths that are routed for it; none if nobody asks for the name.</param>
/// <param name="Matched">The longest of them that the path starts with; null if none does.</param>
internal sealed record TrialHost(string Name, ImmutableArray<string> Paths, string? Matched);

/// <summary>A route that matches.</summary>
/// <param name="Chosen">It decides: the first instance comes from it, or it lets no such request in.</param>
/// <param name="Starting">An instance is on its way up, so that a request would wait rather than fail.</param>
/// <param name="Text">Why it is chosen, or passed over.</param>
internal sealed record TrialRoute(
    string Host, string Path, ImmutableArray<string> Services, bool Chosen, bool Starting, string Text,
    ImmutableArray<TrialInstance> Instances);

/// <summary>An instance of a route.</summary>
/// <param name="Usable">It may be asked as a matter of course: it is ready.</param>
/// <param name="Text">Its state in words.</param>
internal sealed record TrialInstance(
    string Service, string Name, string Address, string State, bool Usable, string Text);

internal static class TrialOutcomes
{
    /// <summary>An instance would be asked.</summary>
    public const string Forwarded = "forwarded";

    /// <summary>It would be sent to https.</summary>
    public const string Redirected = "redirected";

    /// <summary>Its route lets in clients with a certificate alone.</summary>
    public const string CertificateRequired = "certificate-required";

    /// <summary>It would wait for an instance on its way up; 503 if none comes.</summary>
    public const string Waits = "waits";

    /// <summary>No route matches.</summary>
    public const string NoMatch = "no-match";

    /// <summary>Routes match, but nobody is there.</summary>
    public const string NoInstance = "no-instance";

    /// <summary>The request itself is wrong.</summary>
    public const string Refused = "refused";
}
