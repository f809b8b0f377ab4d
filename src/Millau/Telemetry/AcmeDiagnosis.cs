using Millau.Discovery;
using Millau.Tls.Acme;

namespace Millau.Telemetry;

/// <summary>Why automatic HTTPS has no certificate for a name, in the authority's words; with what to change.</summary>
internal static class AcmeDiagnosis
{
    private const string Failed = "acme-failed";

    /// <summary>What concerns all names.</summary>
    public static IEnumerable<Problem> OfAuthority(AcmeStatus? acme)
    {
        if (acme is null)
            yield break;
        if (acme.CaError.Length > 0)
            yield return new(Failed, ProblemSeverity.Warning, $"The authority at {acme.Directory} cannot be used: {acme.CaError}.",
                "It is tried again by itself; check ACME, and that it can be reached from here.");
        if (acme.StoreError.Length > 0)
            yield return new("acme-store", ProblemSeverity.Warning, $"Certificates are kept in memory only: {acme.StoreError}.",
                "Mount a volume at the directory of ACME's state, or each start orders them anew, until the authority refuses.");
    }

    /// <summary>What concerns the hosts of one service.</summary>
    public static IEnumerable<Problem> OfService(AcmeStatus? acme, string service) =>
        (acme is null ? [] : acme.Names).Where(n => n.Service == service && n.State == AcmeNameState.Failed).Select(n => new Problem(
            Failed, ProblemSeverity.Warning,
            $"No certificate for {n.Name}: {n.Error}." + (n.NotAfter is null ? "" : " The one that it has is still in force."),
            $"Mostly {n.Name} does not lead here, or port 80 cannot be reached from outside. It is tried again by itself."));
}
