using Millau.Tls;

namespace Millau.Telemetry.Metrics;

/// <summary>The certificates that clients are shown. What is wrong with one is said in words by the status page.</summary>
internal static class CertificateMetrics
{
    public static void Add(MetricsRegistry metrics, CertificateStore certificates)
    {
        var expiry = metrics.Rows("millau_tls_certificate_expiry_timestamp_seconds",
            "When a certificate expires, since the Unix epoch; by its first name, its source and the service whose labels have it.",
            "name", "service", "source");
        var problems = metrics.Rows("millau_tls_certificate_problems",
            "Certificates with a problem: not valid, not obtained, or not renewed.", "service", "source");
        metrics.BeforeScrape(() =>
        {
            foreach (var certificate in certificates.Status)
            {
                var source = Name(certificate.Source);
                if (certificate.NotAfter is { } notAfter && certificate.Names.Length > 0)
                    expiry.Set(notAfter.ToUnixTimeSeconds(), certificate.Names[0], certificate.Service, source);
            }
            foreach (var group in certificates.Status.GroupBy(c => (c.Service, c.Source)))
                problems.Set(group.Count(c => c.Problem.Length > 0), group.Key.Service, Name(group.Key.Source));
            expiry.Done();
            problems.Done();
        });
    }

    private static string Name(CertificateSource source) => source switch
    {
        CertificateSource.Label => "label",
        CertificateSource.Acme => "acme",
        _ => "self_signed",
    };
}
