using Millau.Routing;

namespace Millau.Tests.Routing;

public class PathPrefixTests
{
    [Theory]
    [InlineData("/")]
    [InlineData("/api/")]
    [InlineData("/file.html")]
    [InlineData("/a//b")]
    [InlineData("/caf%C3%A9")]
    [InlineData("/café")]
    [InlineData("/100%")]
    [InlineData("/..a/.well-known/")]
    public void Valid_paths(string path) => Assert.True(PathPrefix.IsValid(path));

    [Theory]
    [InlineData("")]
    [InlineData("api")]
    [InlineData(" /api")]
    [InlineData("%2fapi")]
    [InlineData("/api?x")]
    [InlineData("/api#x")]
    [InlineData("/api\\x")]
    [InlineData("/a\nb")]
    [InlineData("/a%0ab")]
    [InlineData("/a%00b")]
    [InlineData("/a%7Fb")]
    [InlineData("/a/../b")]
    [InlineData("/a/.")]
    [InlineData("/a/%2E%2e/b")]
    [InlineData("/a%2f..%2fb")]
    public void Invalid_paths(string path) => Assert.False(PathPrefix.IsValid(path));

    [Fact]
    public void A_path_has_up_to_2048_characters()
    {
        Assert.True(PathPrefix.IsValid("/" + new string('a', 2047)));
        Assert.False(PathPrefix.IsValid("/" + new string('a', 2048)));
    }

    [Theory]
    [InlineData("/api/", "/api/")]
    [InlineData("/caf%C3%a9", "/café")]
    [InlineData("/a%20b", "/a b")]
    [InlineData("/%252e", "/%2e")]
    [InlineData("/%zz%4", "/%zz%4")]
    [InlineData("/%", "/%")]
    [InlineData("/%%41", "/%A")]
    [InlineData("/é%41", "/éA")]
    [InlineData("/%f0%9f%90%b3", "/🐳")]
    [InlineData("/%ff", "/\uFFFD")]
    public void Decoding_is_done_once_as_UTF_8(string written, string expected) =>
        Assert.Equal(expected, PathPrefix.Decode(written));
}
