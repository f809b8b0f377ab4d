using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class HostClaimsTests
{
    private static HostClaims Parse(string text)
    {
        Assert.True(HostClaims.TryParse(text, out var claims), text);
        return claims;
    }

    private static FoundService Service(ServiceOrigin origin, string stack, string hosts) => new()
    {
        Origin = origin,
        Name = "app",
        Labels =
        [
            new("millau.enabled", "true"), new("millau.port", "80"), new("millau.hosts", hosts),
            new(origin == ServiceOrigin.Swarm ? "com.docker.stack.namespace" : "com.docker.compose.project", stack),
            // The other kind's label could be written by anybody.
            new(origin == ServiceOrigin.Swarm ? "com.docker.compose.project" : "com.docker.stack.namespace", "admin"),
        ],
        Instances = [],
    };

    [Theory]
    [InlineData("shop=shop.com *.shop.com; *=*", "shop", "shop.com", true)]
    [InlineData("shop=shop.com *.shop.com; *=*", "shop", "www.shop.com", true)]
    [InlineData("shop=shop.com *.shop.com; *=*", "shop", "a.b.shop.com", true)]
    [InlineData("shop=shop.com *.shop.com; *=*", "shop", "bank.com", false)]
    [InlineData("shop=shop.com *.shop.com; *=*", "shop", "evilshop.com", false)]
    [InlineData("shop=shop.com *.shop.com; *=*", "shop", "com", false)]
    [InlineData("shop=shop.com *.shop.com; *=*", "shop", "*", false)]
    [InlineData("shop=shop.com *.shop.com; *=*", "other", "bank.com", true)]
    [InlineData("shop=shop.com *.shop.com; *=*", "", "*", true)]
    [InlineData("shop=shop.com", "other", "other.com", false)]
    [InlineData("shop=shop.com", "", "shop.com", false)]
    [InlineData("shop=Shop.COM", "shop", "shop.com", true)]
    [InlineData("shop=shop.com;shop=b.com", "shop", "b.com", true)]
    [InlineData("shop=*.shop.com", "shop", "shop.com", false)]
    [InlineData("shop=*.shop.com", "shop", "*.shop.com", true)]
    [InlineData("shop=shop.com", "shop", "*.shop.com", false)]
    public void A_stack_may_claim_what_its_rule_says_and_without_one_what_the_rule_for_all_says(
        string rules, string stack, string host, bool permitted) =>
        Assert.Equal(permitted, Parse(rules).Permits(stack, host));

    [Theory]
    [InlineData("")]
    [InlineData(";")]
    [InlineData("shop")]
    [InlineData("=shop.com")]
    [InlineData("shop=")]
    [InlineData("shop=a b/c")]
    [InlineData("shop=*.*")]
    [InlineData("shop=a.*.b")]
    [InlineData("shop=a.com; oops")]
    public void What_is_no_rule_is_refused(string text) => Assert.False(HostClaims.TryParse(text, out _));

    [Theory]
    [InlineData(true, "shop.com www.shop.com", true)]
    [InlineData(true, "shop.com bank.com", false)]
    [InlineData(true, "*", false)]
    [InlineData(false, "shop.com", true)]
    [InlineData(false, "bank.com", false)]
    public void One_refused_host_makes_the_labels_wrong(bool swarm, string hosts, bool good)
    {
        var claims = Parse("shop=shop.com *.shop.com; admin=*");
        var service = Service(swarm ? ServiceOrigin.Swarm : ServiceOrigin.Containers, "shop", hosts);

        var reading = claims.Check(service, ServiceLabels.Read(service.Labels));

        Assert.Equal(good ? LabelVerdict.Good : LabelVerdict.Wrong, reading.Verdict);
        if (good) return;
        var problem = Assert.Single(reading.Problems);
        Assert.Equal("millau.hosts", problem.Label);
        Assert.Equal("what ALLOWED_HOSTS grants the stack shop: shop.com *.shop.com", problem.Allowed);
    }
}
