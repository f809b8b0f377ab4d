using Millau.Telemetry.Metrics;
using Millau.Tls.Acme;

namespace Millau.Tests.Telemetry.Metrics;

public class AcmeMetricsTests
{
    [Fact]
    public async Task Each_name_tells_when_it_is_renewed_and_how_often_that_failed()
    {
        var renewAt = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);
        var status = new AcmeStatus("https://ca.test/", [
            new AcmeNameStatus("good.test", "app", AcmeNameState.Good, renewAt.AddDays(30), renewAt, 0, "", null),
            new AcmeNameStatus("bad.test", "web", AcmeNameState.Failed, null, null, 3, "the CA's words", renewAt)], []);
        var metrics = new MetricsRegistry();
        AcmeMetrics.Add(metrics, () => status);

        var scrape = await Scrape.OfAsync(metrics);
        Assert.Equal(
            ["millau_acme_failures{name=\"bad.test\",service=\"web\"} 3", "millau_acme_failures{name=\"good.test\",service=\"app\"} 0"],
            scrape.Of("millau_acme_failures"));
        Assert.Equal(
            ["millau_acme_renewal_timestamp_seconds{name=\"good.test\",service=\"app\"} 1800000000"],
            scrape.Of("millau_acme_renewal_timestamp_seconds"));
        Assert.True(scrape.Has("millau_acme_up 1") && scrape.Has("millau_acme_store_up 1"));
        Assert.DoesNotContain("words", scrape.Text);

        status = status with { Names = [], CaError = "no", StoreError = "full", Orders = 2 };
        scrape = await Scrape.OfAsync(metrics);
        Assert.Empty(scrape.Of("millau_acme_failures"));
        Assert.True(scrape.Has("millau_acme_up 0") && scrape.Has("millau_acme_store_up 0") && scrape.Has("millau_acme_orders 2"));
    }
}
