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
            // Of certificates that share all labels the one that lasts longest.
            foreach (var same in certificates.Status.Where(c => c.NotAfter is not null && c.Names.Length > 0)
                .GroupBy(c => (Name: c.Names[0], c.Service, c.Source)))
                expiry.Set(same.Max(c => c.NotAfter!.Value.ToUnixTimeSeconds()), same.Key.Name, same.Key.Service, Name(same.Key.Source));
            foreach (var group in certificates.Status.GroupBy(c => (c.Service, c.Source)))
                problems.Set(group.Count(c => c.Problem.Length > 0), group.Key.Service, Name(group.Key.Source));
        });
    }

    private static string Name(CertificateSource source) => source switch
    {
        CertificateSource.Label => "label",
        CertificateSource.Acme => "acme",
        _ => "self_signed",
    };
}
