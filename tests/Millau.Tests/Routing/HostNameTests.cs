using Millau.Routing;

namespace Millau.Tests.Routing;

public class HostNameTests
{
    [Theory]
    [InlineData("one.com", "one.com")]
    [InlineData("ONE.Com", "one.com")]
    [InlineData("one.com:8080", "one.com")]
    [InlineData("one.com.", "one.com")]
    [InlineData("One.com.:80", "one.com")]
    [InlineData("one.com:", "one.com")]
    [InlineData("10.0.0.1:80", "10.0.0.1")]
    [InlineData("[::1]", "[::1]")]
    [InlineData("[2001:DB8::1]:443", "[2001:db8::1]")]
    [InlineData("*", "*")]
    [InlineData("", "")]
    [InlineData("[::1", "[::1")]
    public void Normalizing_takes_off_case_port_and_trailing_dot(string host, string expected)
    {
        Assert.Equal(expected, HostName.Normalize(host));
        Assert.Equal(expected, HostName.Bare(host).ToString(), ignoreCase: true);
    }

    [Fact]
    public void A_normal_name_is_given_back_itself() =>
        Assert.Same("one.com", HostName.Normalize("one.com"));

    [Fact]
    public void A_name_of_any_length_is_normalized()
    {
        var host = string.Concat(Enumerable.Repeat("A.", 5000));

        Assert.Equal(host[..^1].ToLowerInvariant(), HostName.Normalize(host));
    }

    [Theory]
    [InlineData("*")]
    [InlineData("com")]
    [InlineData("one.com")]
    [InlineData("ONE.com.")]
    [InlineData("one.com:8080")]
    [InlineData("my_service.local")]
    [InlineData("xn--bcher-kva.example")]
    [InlineData("10.0.0.1")]
    [InlineData("[2001:db8::1]")]
    [InlineData("[::1]:80")]
    public void Valid_names(string host) => Assert.True(HostName.IsValid(host));

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("one..com")]
    [InlineData(".one.com")]
    [InlineData("one.com..")]
    [InlineData("-one.com")]
    [InlineData("one-.com")]
    [InlineData("*.one.com")]
    [InlineData("*:80")]
    [InlineData("one com")]
    [InlineData("one,two")]
    [InlineData("http://one.com")]
    [InlineData("one.com/path")]
    [InlineData("bücher.example")]
    [InlineData("one.com:")]
    [InlineData("one.com:0")]
    [InlineData("one.com:65536")]
    [InlineData("one.com:http")]
    [InlineData("::1")]
    [InlineData("[::1")]
    [InlineData("[10.0.0.1]")]
    [InlineData("[fe80::1%eth0]")]
    [InlineData("[::1]x")]
    public void Invalid_names(string host) => Assert.False(HostName.IsValid(host));

    [Fact]
    public void Labels_have_up_to_63_characters_and_names_up_to_253()
    {
        var label = new string('a', 63);
        var longest = $"{label}.{label}.{label}.{new string('b', 61)}";

        Assert.Equal(253, longest.Length);
        Assert.True(HostName.IsValid(longest));
        Assert.True(HostName.IsValid(longest + "."));
        Assert.False(HostName.IsValid(longest + "b"));
        Assert.False(HostName.IsValid(label + "a"));
    }
}
