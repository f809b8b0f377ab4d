using System.Collections.Immutable;

namespace Millau.Tls;

/// <summary>One certificate, for people and metrics.</summary>
/// <param name="Source">Where it comes from.</param>
/// <param name="Service">The service whose labels have it; else empty.</param>
/// <param name="Names">The names it covers; none if there is no certificate, only a problem.</param>
/// <param name="NotAfter">When it expires; null if there is no certificate.</param>
/// <param name="Problem">What is wrong, in words; else empty. With a certificate: the last good one is in force.</param>
internal sealed record CertificateStatus(
    CertificateSource Source, string Service, ImmutableArray<string> Names, DateTimeOffset? NotAfter, string Problem)
{
    public static CertificateStatus Of(CertificateSource source, string service, TlsCertificate? certificate, string problem) =>
        new(source, service, certificate?.Names ?? [], certificate?.NotAfter, problem);
}

internal enum CertificateSource
{
    Label,
    Acme,
    SelfSigned,
}
