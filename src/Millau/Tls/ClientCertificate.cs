using System.Security.Cryptography.X509Certificates;

namespace Millau.Tls;

/// <summary>
/// The certificate that a client showed in its handshake, valid or not; a feature of its connection. Whether it is valid is asked
/// for each request, as CAs and the time change while a connection lasts. Thread-safe: HTTP/2 has many requests at once.
/// </summary>
internal sealed class ClientCertificate
{
    // As many as a sane chain has; a client may send more.
    private const int MaxIntermediates = 8;

    private readonly X509Certificate2 _certificate;
    private readonly X509Certificate2Collection _intermediates = [];

    // What was found for the CAs that were asked for; replaced as a whole.
    private volatile Finding[] _findings = [];

    /// <param name="certificate">The client's.</param>
    /// <param name="others">What it sent along, and maybe more.</param>
    public ClientCertificate(X509Certificate2 certificate, X509Certificate2Collection others)
    {
        // The handshake's own are disposed with it.
        _certificate = Copy(certificate);
        for (var i = 0; i < others.Count && i < MaxIntermediates; i++) _intermediates.Add(Copy(others[i]));
        HeaderValue = $":{Convert.ToBase64String(_certificate.RawDataMemory.Span)}:";
    }

    /// <summary>For <c>Client-Cert</c> (RFC 9440 section 2.2).</summary>
    public string HeaderValue { get; }

    /// <summary>What is wrong with it; null if it is from a CA, for clients, and neither expired nor still to come.</summary>
    public string? ProblemFor(CertificateAuthority authority, DateTimeOffset now)
    {
        var findings = _findings;
        foreach (var finding in findings)
        {
            if (!ReferenceEquals(finding.Authority, authority)) continue;
            // What was not valid is not asked again: one that is to become valid may come on a new connection.
            if (finding.Problem is not null || now <= finding.Until) return finding.Problem;
            break;
        }
        var found = Judge(authority, now);
        // Race window: another request may have found something meanwhile; then that is found again.
        _findings = [.. findings.Where(f => !ReferenceEquals(f.Authority, authority)).TakeLast(7), found];
        return found.Problem;
    }

    private Finding Judge(CertificateAuthority authority, DateTimeOffset now)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy = CertificateAuthority.Policy(authority, CertificateAuthority.ClientAuthentication);
        chain.ChainPolicy.ExtraStore.AddRange(_intermediates);
        chain.ChainPolicy.VerificationTime = now.UtcDateTime;
        var problem = chain.Build(_certificate) ? null : CertificateWords.Describe(chain, _certificate);
        var until = DateTimeOffset.MaxValue;
        foreach (var element in chain.ChainElements)
        {
            DateTimeOffset end = element.Certificate.NotAfter.ToUniversalTime();
            if (end < until) until = end;
            element.Certificate.Dispose();
        }
        return new Finding(authority, problem, until);
    }

    private static X509Certificate2 Copy(X509Certificate2 certificate) =>
        X509CertificateLoader.LoadCertificate(certificate.RawDataMemory.Span);

    private sealed record Finding(CertificateAuthority Authority, string? Problem, DateTimeOffset Until);
}
