using CsCheck;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class ServiceLabelsTests
{
    [Fact]
    public void Defaults_are_those_of_the_label_table()
    {
        var labels = Good(("millau.enabled", "true"), ("millau.port", "80"));
        Assert.Equal(["*"], labels.Hosts);
        Assert.Equal("/", labels.Path);
        Assert.Equal(TimeSpan.FromSeconds(30), labels.Timeout);
        Assert.Equal(TimeSpan.FromSeconds(60), labels.Retry);
        Assert.Equal("hosts=* path=/ port=80 timeout=30s retry=60s", labels.ToString());
    }

    [Fact]
    public void Names_and_true_are_case_insensitive()
    {
        var labels = Good(("Millau.ENABLED", "True"), ("MILLAU.Port", "8080"));
        Assert.Equal(8080, labels.Port);
    }

    [Fact]
    public void Everything_is_read()
    {
        var labels = Good(("millau.enabled", "true"), ("millau.port", " 80 "), ("millau.hosts", " One.com  two.com. one.com"),
            ("millau.path", "/caf%C3%A9/"), ("millau.timeout", "0.5"), ("millau.retry", "5"), ("other.label", "x"),
            ("millau.cert", "QQ=="), ("millau.key", "Qg=="));
        Assert.Equal(["one.com", "two.com"], labels.Hosts);
        Assert.Equal("/café/", labels.Path);
        Assert.Equal(TimeSpan.FromMilliseconds(500), labels.Timeout);
        Assert.Equal(TimeSpan.FromSeconds(5), labels.Retry);
    }

    [Theory]
    [InlineData("millau.port", "abc", "1 to 65535")]
    [InlineData("millau.port", "0", "1 to 65535")]
    [InlineData("millau.port", "65536", "1 to 65535")]
    [InlineData("millau.port", "-1", "1 to 65535")]
    [InlineData("millau.port", "8 0", "1 to 65535")]
    [InlineData("millau.port", "", "1 to 65535")]
    [InlineData("millau.path", "api", "starts with '/'")]
    [InlineData("millau.path", "", "starts with '/'")]
    [InlineData("millau.path", "/a/../b", "dot segments")]
    [InlineData("millau.path", "/a?b", "'?'")]
    [InlineData("millau.hosts", "", "host names separated by spaces")]
    [InlineData("millau.hosts", "a_b.com,c.com", "separated by spaces")]
    [InlineData("millau.hosts", "http://a.com", "a host name such as")]
    [InlineData("millau.hosts", "*.two.com", "two.com covers its subdomains too")]
    [InlineData("millau.timeout", "0", "seconds above 0")]
    [InlineData("millau.timeout", "30s", "seconds above 0")]
    [InlineData("millau.timeout", "-5", "seconds above 0")]
    [InlineData("millau.timeout", "86401", "seconds above 0")]
    [InlineData("millau.retry", "0", "seconds above 0")]
    [InlineData("millau.retry", "1e3", "seconds above 0")]
    [InlineData("millau.enabled", "yes", "true or false")]
    [InlineData("millau.prot", "80", "did you mean millau.port?")]
    [InlineData("millau.host", "a.com", "did you mean millau.hosts?")]
    [InlineData("millau.", "x", "did you mean")]
    public void A_wrong_label_is_named_with_what_is_allowed(string label, string value, string allowed)
    {
        var reading = Read([("millau.enabled", "true"), ("millau.port", "80"), (label, value)]);
        Assert.Equal(LabelVerdict.Wrong, reading.Verdict);
        Assert.Null(reading.Labels);
        var problem = Assert.Single(reading.Problems);
        Assert.Equal(label, problem.Label);
        Assert.Contains(allowed, problem.Allowed, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_port_is_a_mistake_of_an_enabled_service_only()
    {
        Assert.Equal("millau.port", Assert.Single(Read([("millau.enabled", "true")]).Problems).Label);
        Assert.Empty(Read([("millau.enabled", "false")]).Problems);
        Assert.Empty(Read([("millau.hosts", "a.com")]).Problems);
    }

    [Theory]
    [InlineData("millau.cert", "millau.key")]
    [InlineData("millau.key", "millau.cert")]
    public void Half_a_pair_names_both_and_shows_neither(string half, string missing)
    {
        var reading = Read([("millau.enabled", "true"), ("millau.port", "80"), (half, "c2VjcmV0")]);
        var problem = Assert.Single(reading.Problems);
        Assert.Equal(missing, problem.Label);
        Assert.Contains(half, problem.Allowed, StringComparison.Ordinal);
        Assert.DoesNotContain("c2VjcmV0", problem.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Two_spellings_of_one_name_must_agree_and_keys_stay_hidden()
    {
        var reading = Read([("millau.enabled", "true"), ("millau.port", "80"), ("millau.cert", "a"),
            ("millau.key", "secret-1"), ("Millau.Key", "secret-2")]);
        var problem = Assert.Single(reading.Problems);
        Assert.Equal("(hidden)", problem.Value);
        Assert.Empty(Read([("millau.enabled", "true"), ("millau.port", "80"), ("Millau.Port", "80")]).Problems);
    }

    [Theory]
    [InlineData("https", true)]
    [InlineData("HTTPS", true)]
    [InlineData("http", false)]
    [InlineData("true", false)]
    [InlineData("", false)]
    public void Redirect(string value, bool good)
    {
        var reading = Read([("millau.enabled", "true"), ("millau.port", "80"), ("millau.redirect", value)]);
        if (good) Assert.True(reading.Labels!.RedirectsToHttps);
        else Assert.Equal(new LabelProblem("millau.redirect", value, "https"), Assert.Single(reading.Problems));
        Assert.False(Good(("millau.enabled", "true"), ("millau.port", "80")).RedirectsToHttps);
    }

    [Fact]
    public void A_key_is_in_no_text_of_what_was_read()
    {
        var reading = Read([("millau.enabled", "true"), ("millau.port", "80"), ("millau.cert", "c"), ("millau.key", "hidden-key")]);
        Assert.Equal(("c", "hidden-key"), reading.Certificate);
        Assert.DoesNotContain("hidden-key", reading.ToString());
        Assert.DoesNotContain("hidden-key", reading.Labels!.ToString());
    }

    [Fact]
    public void A_service_that_is_off_is_off_but_its_mistakes_are_found()
    {
        var reading = Read([("millau.enable", "true"), ("millau.port", "80")]);
        Assert.Equal(LabelVerdict.Off, reading.Verdict);
        Assert.Contains("did you mean millau.enabled?", Assert.Single(reading.Problems).Allowed, StringComparison.Ordinal);
        Assert.False(Read([("com.docker.stack.image", "x")]).HasAny);
    }

    [Fact]
    public void Any_labels_at_all_are_read_without_an_exception_and_good_ones_are_within_bounds()
    {
        var name = Gen.OneOf(
            OneOf("millau.enabled", "millau.port", "millau.hosts", "millau.path", "millau.timeout",
                "millau.retry", "millau.cert", "millau.key", "millau.redirect", "MILLAU.PORT", "millau.", "millau"),
            Gen.String.Select(s => "millau." + s),
            Gen.String);
        var value = Gen.OneOf(
            OneOf("true", "false", "80", "*", "/", "/a%", "%", "a.b c.d", "0.001", "86400", "٣", "\0", "[::1]"),
            Gen.Double.Select(d => d.ToString()),
            Gen.String.Select(s => "/" + s),
            Gen.String);
        Gen.Select(name, value).List[0, 12].Sample(pairs =>
        {
            var reading = ServiceLabels.Read(pairs.Select(p => KeyValuePair.Create<string, string?>(p.Item1, p.Item2)));
            if (reading.Labels is not { } labels)
                return reading.Verdict != LabelVerdict.Good;
            return labels.Port is > 0 and < 65536 && labels.Path.StartsWith('/') && !labels.Hosts.IsEmpty
                   && labels.Timeout > TimeSpan.Zero && labels.Retry > TimeSpan.Zero && reading.Problems.IsEmpty;
        }, iter: 20_000);
    }

    private static Gen<string> OneOf(params string[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static ServiceLabels Good(params (string, string)[] labels)
    {
        var reading = Read(labels);
        Assert.Empty(reading.Problems);
        Assert.Equal(LabelVerdict.Good, reading.Verdict);
        return reading.Labels!;
    }

    private static LabelReading Read((string Name, string Value)[] labels)
    {
        var map = new Dictionary<string, string?>();
        foreach (var (name, value) in labels)
            map[name] = value;
        return ServiceLabels.Read(map);
    }
}
