using System.Collections.Immutable;

namespace Millau.Tls.Acme;

/// <summary>What happens beside the loop of <see cref="AcmeScheduler"/> and is told to it.</summary>
internal abstract record AcmeNews
{
    private AcmeNews()
    {
    }

    /// <summary>The catalog, or what covers names otherwise, has changed.</summary>
    public sealed record Wanted(ImmutableArray<ServiceNames> Services) : AcmeNews;

    /// <summary>The directory was read and the account is open.</summary>
    public sealed record Opened(AcmeSession Session) : AcmeNews;

    public sealed record Issued(PlannedOrder Order, ImmutableArray<string> Names, string Pem, ChallengeKind Challenge) : AcmeNews;

    public sealed record NameFailed(string Name, string Error, TimeSpan? RetryAfter, ChallengeKind Challenge) : AcmeNews;

    public sealed record CaFailed(AcmeFault Fault) : AcmeNews;

    /// <summary>A planned order is over; what came of it was told before.</summary>
    public sealed record OrderEnded(PlannedOrder Order) : AcmeNews;

    /// <summary>What the CA says of a renewal; no suggestion if it says nothing.</summary>
    public sealed record Suggested(HeldCertificate Held, RenewalState? Window, TimeSpan Check, string? Explanation) : AcmeNews;

    /// <summary>All renewals that were to be asked for have been.</summary>
    public sealed record SuggestionsEnded : AcmeNews;
}

/// <summary>
/// Has certificates made for the names of one planned order, so that a name that fails holds up no other: the CA says which
/// ones failed, and the rest is ordered without them; where it does not say, each half is ordered by itself.
/// </summary>
/// <param name="order">Makes one order.</param>
/// <param name="failuresOf">How often in a row a name has failed before.</param>
/// <param name="report">Told of each result as it comes.</param>
internal sealed class AcmeIssuer(
    Func<OrderRequest, CancellationToken, Task<OrderResult>> order, Func<string, int> failuresOf, Action<AcmeNews> report)
{
    /// <summary>What no other challenge would cure.</summary>
    private static readonly string[] BeyondChallenges = ["dns", "caa", "rejectedIdentifier", "unsupportedIdentifier", "rateLimited"];

    /// <summary>What the CA has against the account or this client, whatever the names.</summary>
    private static readonly string[] OfAccount =
    [
        "accountDoesNotExist", "unauthorized", "userActionRequired", "externalAccountRequired", "badNonce", "badPublicKey",
        "badSignatureAlgorithm",
    ];

    /// <summary>Problems that one name of many can cause without being named.</summary>
    private static readonly string[] OfSomeName = ["rejectedIdentifier", "unsupportedIdentifier", "malformed", "dns", "caa", "badCSR"];

    /// <param name="planned">What is to be had.</param>
    /// <param name="preferred">The challenge to begin with.</param>
    /// <param name="profile">Null for the CA's default.</param>
    /// <param name="saysReplaces">Whether the CA is told what is replaced: one that knows renewal information (RFC 9773 section 5).</param>
    public async Task IssueAsync(
        PlannedOrder planned, ChallengeKind preferred, string? profile, bool saysReplaces, CancellationToken cancellation)
    {
        var replaces = saysReplaces ? planned.Replaces?.RenewalId : null;
        var queue = new Queue<(ImmutableArray<string> Names, ChallengeKind Challenge)>();
        queue.Enqueue((planned.Names, preferred));
        var tried = new HashSet<string>(StringComparer.Ordinal);
        while (queue.TryDequeue(out var next))
        {
            var (names, challenge) = next;
            var result = await order(new OrderRequest(names, challenge, profile, replaces), cancellation);
            if (result.Pem is { } pem)
            {
                report(new AcmeNews.Issued(planned, names, pem, challenge));
                // A certificate is replaced by one other.
                replaces = null;
                continue;
            }
            var fault = result.Fault!;
            var failed = fault.Names.Where(f => names.Contains(f.Name)).DistinctBy(f => f.Name).ToList();
            if (failed.Count > 0)
            {
                // A name fails by one challenge only at first: the way to the other port may be open.
                var again = failed.Where(f => failuresOf(f.Name) == 0 && !BeyondChallenges.Contains(f.Type) && tried.Add(f.Name)).ToList();
                foreach (var failure in failed.Except(again))
                    report(new AcmeNews.NameFailed(failure.Name, failure.Text, fault.RetryAfter, challenge));
                var rest = names.Where(n => failed.All(f => f.Name != n)).ToImmutableArray();
                if (!rest.IsEmpty) queue.Enqueue((rest, challenge));
                if (again.Count > 0) queue.Enqueue(([.. again.Select(f => f.Name)], Other(challenge)));
                continue;
            }
            if (fault.IsOfCa || OfAccount.Contains(fault.Type))
            {
                report(new AcmeNews.CaFailed(fault));
                return;
            }
            if (names.Length > 1 && OfSomeName.Contains(fault.Type))
            {
                queue.Enqueue((names[..(names.Length / 2)], challenge));
                queue.Enqueue((names[(names.Length / 2)..], challenge));
                continue;
            }
            foreach (var name in names)
                report(new AcmeNews.NameFailed(name, fault.Text, fault.RetryAfter, challenge));
        }
    }

    public static ChallengeKind Other(ChallengeKind challenge) =>
        challenge == ChallengeKind.Http01 ? ChallengeKind.TlsAlpn01 : ChallengeKind.Http01;
}
