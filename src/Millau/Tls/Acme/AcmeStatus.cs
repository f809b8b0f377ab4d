using System.Collections.Immutable;

namespace Millau.Tls.Acme;

/// <summary>How automatic HTTPS stands; for people and metrics. Immutable; a new one is published after each change.</summary>
/// <param name="Directory">The CA's.</param>
/// <param name="Names">All names that certificates are wanted for, sorted.</param>
/// <param name="Certificates">All that are held, by the first name.</param>
internal sealed record AcmeStatus(
    string Directory, ImmutableArray<AcmeNameStatus> Names, ImmutableArray<AcmeCertificateStatus> Certificates)
{
    /// <summary>Why the CA cannot be used now, in its words; empty if it can.</summary>
    public string CaError { get; init; } = "";

    /// <summary>When the CA is tried again; null if it can be used.</summary>
    public DateTimeOffset? CaNextTry { get; init; }

    /// <summary>Why state is only in memory; empty if it is on disk.</summary>
    public string StoreError { get; init; } = "";

    /// <summary>Orders under way.</summary>
    public int Orders { get; init; }
}

internal enum AcmeNameState
{
    /// <summary>A label certificate covers it.</summary>
    Covered,

    /// <summary>There is a certificate, and it is not yet to be renewed.</summary>
    Good,

    /// <summary>An order is under way, or next.</summary>
    Ordering,

    /// <summary>The last order failed, and the next try is later.</summary>
    Failed,
}

/// <summary>One name.</summary>
/// <param name="Service">The first service, by name, that has it.</param>
/// <param name="NotAfter">When its certificate expires; null if it has none.</param>
/// <param name="RenewAt">When that is to be renewed.</param>
/// <param name="Failures">Orders that failed in a row.</param>
/// <param name="Error">The CA's words at the last failure; empty if it did not fail.</param>
/// <param name="NextTry">When it is tried again; null if it did not fail.</param>
internal sealed record AcmeNameStatus(
    string Name, string Service, AcmeNameState State, DateTimeOffset? NotAfter, DateTimeOffset? RenewAt, int Failures, string Error,
    DateTimeOffset? NextTry);

/// <summary>One certificate.</summary>
/// <param name="FromCa">Whether the time of renewal is the CA's suggestion (RFC 9773).</param>
/// <param name="NextCheck">When the CA is asked for its suggestion again; null before it was asked at all.</param>
internal sealed record AcmeCertificateStatus(
    ImmutableArray<string> Names, DateTimeOffset NotBefore, DateTimeOffset NotAfter, DateTimeOffset RenewAt, bool FromCa,
    DateTimeOffset? NextCheck);
