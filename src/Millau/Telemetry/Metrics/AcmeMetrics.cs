using Millau.Tls.Acme;

namespace Millau.Telemetry.Metrics;

/// <summary>How automatic HTTPS stands. What went wrong is said in words by the log and the status page.</summary>
internal static class AcmeMetrics
{
    public static void Add(MetricsRegistry metrics, Func<AcmeStatus> current)
    {
        var usable = metrics.Gauge("millau_acme_up", "1: the CA can be used; 0: it could not be, and is tried again.");
        var stored = metrics.Gauge("millau_acme_store_up", "1: certificates and account are on disk; 0: in memory only.");
        var orders = metrics.Gauge("millau_acme_orders", "Orders under way.");
        var renewals = metrics.Rows(
            "millau_acme_renewal_timestamp_seconds", "When the certificate of a name is to be renewed, since the Unix epoch.", "name", "service");
        var failures = metrics.Rows("millau_acme_failures", "Orders for a name that failed in a row.", "name", "service");
        metrics.BeforeScrape(() =>
        {
            var status = current();
            usable.Set(status.CaError.Length == 0 ? 1 : 0);
            stored.Set(status.StoreError.Length == 0 ? 1 : 0);
            orders.Set(status.Orders);
            foreach (var name in status.Names)
            {
                failures.Set(name.Failures, name.Name, name.Service);
                if (name.RenewAt is { } renewAt) renewals.Set(renewAt.ToUnixTimeSeconds(), name.Name, name.Service);
            }
        });
    }
}
