using Millau.Telemetry;
using Millau.Tls.Acme;

namespace Millau.Tests.Telemetry;

public class AcmeDiagnosisTests
{
    private static readonly AcmeStatus Status = new(
        "https://ca.test/dir",
        [
            new("a.test", "app", AcmeNameState.Good, DateTimeOffset.MaxValue, null, 0, "", null),
            new("b.test", "app", AcmeNameState.Failed, null, null, 3, "DNS problem: NXDOMAIN looking up A for b.test", DateTimeOffset.MaxValue),
        ],
        []);

    [Fact]
    public void The_authoritys_words_stand_with_the_service_whose_host_it_refused()
    {
        var problem = Assert.Single(AcmeDiagnosis.OfService(Status, "app"));
        Assert.Equal("acme-failed", problem.Code);
        Assert.Equal("No certificate for b.test: DNS problem: NXDOMAIN looking up A for b.test.", problem.Text);
        Assert.StartsWith("Mostly b.test does not lead here", problem.Advice, StringComparison.Ordinal);
        Assert.Empty(AcmeDiagnosis.OfService(Status, "other"));
        Assert.Empty(AcmeDiagnosis.OfService(null, "app"));
    }

    [Fact]
    public void An_authority_that_cannot_be_used_concerns_all()
    {
        Assert.Empty(AcmeDiagnosis.OfAuthority(Status));
        Assert.Equal(["acme-failed", "acme-store"], AcmeDiagnosis.OfAuthority(
            Status with { CaError = "no answer", StoreError = "read-only" }).Select(p => p.Code));
    }
}
