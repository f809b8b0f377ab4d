using Millau.Discovery;

namespace Millau.Tests.Discovery;

/// <summary>The labels of TLS with instances.</summary>
public class TlsLabelsTests
{
    [Fact]
    public void Without_a_scheme_instances_are_spoken_to_in_plain()
    {
        Assert.Null(Good().Tls.Instances);
        Assert.Null(Good(("millau.scheme", "HTTP")).Tls.Instances);
    }

    [Fact]
    public void Everything_is_read()
    {
        var labels = Good(("millau.scheme", "HTTPS"), ("millau.ca", "secret:ca"), ("millau.servername", "Api.Internal."),
            ("millau.clientcert", "QQ=="), ("millau.clientkey", "secret:key"));
        Assert.Equal(new InstanceTlsLabels("api.internal", "secret:ca", "QQ==", "secret:key"), labels.Tls.Instances);
        Assert.EndsWith(" scheme=https servername=api.internal", labels.ToString());
        Assert.DoesNotContain("secret", labels.ToString());
    }

    [Theory]
    [InlineData("a.test b.test", "a.test")]
    [InlineData("* b.test", "b.test")]
    [InlineData("10.0.0.1", "10.0.0.1")]
    public void The_name_is_the_first_host_s(string hosts, string name) =>
        Assert.Equal(name, Good(("millau.hosts", hosts), ("millau.scheme", "https")).Tls.Instances!.ServerName);

    [Theory]
    [InlineData("millau.scheme=ftp millau.servername=a", "millau.scheme", "http or https")]
    [InlineData("millau.scheme=https", "millau.servername", "required with millau.scheme=https")]
    [InlineData("millau.scheme=https millau.servername=*", "millau.servername", "one host name")]
    [InlineData("millau.scheme=https millau.servername=", "millau.servername", "one host name")]
    [InlineData("millau.scheme=https millau.servername=a millau.ca=", "millau.ca", "base64 of PEM, or secret:NAME")]
    [InlineData("millau.scheme=https millau.servername=a millau.clientcert=QQ==", "millau.clientkey", "alone is of no use")]
    [InlineData("millau.scheme=https millau.servername=a millau.clientkey=QQ==", "millau.clientcert", "alone is of no use")]
    [InlineData("millau.ca=QQ==", "millau.ca", "only together with millau.scheme=https")]
    [InlineData("millau.servername=a", "millau.servername", "only together with millau.scheme=https")]
    [InlineData("millau.scheme=http millau.clientkey=c2VjcmV0", "millau.clientkey", "only together with millau.scheme=https")]
    public void A_mistake_is_named_with_what_is_allowed(string labels, string label, string allowed)
    {
        var reading = Read([.. labels.Split(' ').Select(l => (l.Split('=')[0], l[(l.IndexOf('=') + 1)..]))]);
        var problem = Assert.Single(reading.Problems);
        Assert.Equal(LabelVerdict.Wrong, reading.Verdict);
        Assert.Equal(label, problem.Label);
        Assert.Contains(allowed, problem.Allowed);
        Assert.DoesNotContain("c2VjcmV0", problem.ToString());
    }

    [Fact]
    public void A_CA_of_clients_needs_no_https_with_instances_and_is_never_taken_for_none()
    {
        var labels = Good(("millau.clientca", "secret:clients"));
        Assert.Equal(new TlsLabels(null, "secret:clients"), labels.Tls);
        Assert.EndsWith(" clientca=set", labels.ToString());
        var reading = Read([("millau.clientca", " ")]);
        Assert.Equal(LabelVerdict.Wrong, reading.Verdict);
        Assert.Equal("millau.clientca", Assert.Single(reading.Problems).Label);
    }

    [Fact]
    public void Two_spellings_of_the_key_must_agree_and_it_stays_hidden()
    {
        var reading = Read([("millau.scheme", "https"), ("millau.servername", "a"), ("millau.clientcert", "QQ=="),
            ("millau.clientkey", "one"), ("Millau.ClientKey", "two")]);
        Assert.Equal("(hidden)", Assert.Single(reading.Problems).Value);
    }

    [Fact]
    public void A_service_that_is_off_needs_no_name() =>
        Assert.Empty(ServiceLabels.Read([new("millau.scheme", "https")]).Problems);

    private static ServiceLabels Good(params (string, string)[] labels)
    {
        var reading = Read(labels);
        Assert.Empty(reading.Problems);
        return reading.Labels!;
    }

    private static LabelReading Read((string Name, string Value)[] labels) => ServiceLabels.Read(
        labels.Select(l => KeyValuePair.Create<string, string?>(l.Name, l.Value)).Append(new("millau.enabled", "true")).Append(new("millau.port", "80")));
}
