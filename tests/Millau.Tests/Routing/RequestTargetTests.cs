using CsCheck;
using Millau.Routing;

namespace Millau.Tests.Routing;

public class RequestTargetTests
{
    [Theory]
    // Nothing to resolve: sent as written.
    [InlineData("/", "/", "/")]
    [InlineData("/api/x?q=1", "/api/x?q=1", "/api/x")]
    [InlineData("/?", "/?", "/")]
    [InlineData("/a?b?c", "/a?b?c", "/a")]
    [InlineData("//", "//", "//")]
    [InlineData("//host/x", "//host/x", "//host/x")]
    [InlineData("/a;p=1/b", "/a;p=1/b", "/a;p=1/b")]
    [InlineData("/a|b^c`{}\"<>", "/a|b^c`{}\"<>", "/a|b^c`{}\"<>")]
    [InlineData("/a.b/c..d", "/a.b/c..d", "/a.b/c..d")]
    // Escapes are decoded for the match only.
    [InlineData("/a%2fb", "/a%2fb", "/a/b")]
    [InlineData("/a%2Fb", "/a%2Fb", "/a/b")]
    [InlineData("/%zz", "/%zz", "/%zz")]
    [InlineData("/%", "/%", "/%")]
    [InlineData("/%4", "/%4", "/%4")]
    [InlineData("/%61pi/", "/%61pi/", "/api/")]
    [InlineData("/%0d%0a", "/%0d%0a", "/\r\n")]
    [InlineData("/caf%c3%A9", "/caf%c3%A9", "/café")]
    [InlineData("/a%3Fb?c", "/a%3Fb?c", "/a?b")]
    [InlineData("/%252e%252e/", "/%252e%252e/", "/%2e%2e/")]
    // Dot segments.
    [InlineData("/a/../b", "/b", "/b")]
    [InlineData("/a/./b", "/a/b", "/a/b")]
    [InlineData("/a/..", "/", "/")]
    [InlineData("/a/.", "/a/", "/a/")]
    [InlineData("/..", "/", "/")]
    [InlineData("/.", "/", "/")]
    [InlineData("/../../x", "/x", "/x")]
    [InlineData("/a/b/c/./../../g", "/a/g", "/a/g")]
    [InlineData("/a//../b", "/a/b", "/a/b")]
    [InlineData("/a/../../b/..", "/", "/")]
    [InlineData("/a/%2e%2e/b", "/b", "/b")]
    [InlineData("/a/.%2E/b", "/b", "/b")]
    [InlineData("/a/%2e./b", "/b", "/b")]
    [InlineData("/a/%2E/b", "/a/b", "/a/b")]
    [InlineData("/a/%2e%2e", "/", "/")]
    [InlineData("/a/.../b", "/a/.../b", "/a/.../b")]
    [InlineData("/a/%2e%2e%2e/b", "/a/%2e%2e%2e/b", "/a/.../b")]
    [InlineData("/.well-known/x", "/.well-known/x", "/.well-known/x")]
    [InlineData("/a/..b/.c", "/a/..b/.c", "/a/..b/.c")]
    [InlineData("/a/../%7Ex%2f", "/%7Ex%2f", "/~x/")]
    // The query is no path.
    [InlineData("/a?/../b", "/a?/../b", "/a")]
    [InlineData("/a?x=%2e%2e/%00", "/a?x=%2e%2e/%00", "/a")]
    [InlineData("/a/../b?c/../d", "/b?c/../d", "/b")]
    [InlineData("/a/..?c", "/?c", "/")]
    public void What_is_sent_and_what_is_matched(string raw, string sent, string path)
    {
        Assert.True(RequestTarget.TryParse(raw, out var target, out var reason), reason);
        Assert.Null(reason);
        Assert.Equal(sent, target.Sent.ToString());
        Assert.Equal(path, target.Path.ToString());
        Assert.True(target.Authority.IsEmpty);
        Assert.False(target.IsAsterisk);
    }

    [Theory]
    [InlineData("")]
    [InlineData("api")]
    [InlineData("?x")]
    [InlineData("%2fapi")]
    [InlineData("host:443")]
    [InlineData("ftp://host/")]
    [InlineData("http:/host/")]
    [InlineData("http://")]
    [InlineData("http:///x")]
    [InlineData("http://user@host/")]
    [InlineData("http://user:secret@host/")]
    [InlineData("**")]
    [InlineData("/a b")]
    [InlineData("/a\tb")]
    [InlineData("/a\u0001")]
    [InlineData("/a\u007f")]
    [InlineData("/é")]
    [InlineData("/a\u0100")]
    [InlineData("/a#b")]
    [InlineData("/a?b#c")]
    [InlineData("/a\\b")]
    [InlineData("/a?b\\c")]
    [InlineData("/a\r\nb")]
    [InlineData("/a%00")]
    [InlineData("/%00/x")]
    [InlineData("/api%2f..%2fadmin")]
    [InlineData("/api%2F%2e%2e%2fadmin")]
    [InlineData("/api/..%2fadmin")]
    [InlineData("/api%2f..")]
    [InlineData("/api%2f.")]
    [InlineData("/api%5c..%5cadmin")]
    [InlineData("http://host/api%2f..%2fadmin")]
    public void Refused(string raw)
    {
        Assert.False(RequestTarget.TryParse(raw, out _, out var reason));
        Assert.False(string.IsNullOrEmpty(reason));
        Assert.DoesNotContain('\n', reason);
    }

    [Theory]
    [InlineData("http://one.com/a?b", "one.com", "/a?b", "/a")]
    [InlineData("HTTP://One.com:8080/", "One.com:8080", "/", "/")]
    [InlineData("https://one.com/a/../b", "one.com", "/b", "/b")]
    [InlineData("http://one.com", "one.com", "/", "/")]
    [InlineData("http://one.com?q=/x", "one.com", "/?q=/x", "/")]
    [InlineData("http://[::1]:80/x", "[::1]:80", "/x", "/x")]
    public void Absolute_form_is_sent_as_origin_form(string raw, string authority, string sent, string path)
    {
        Assert.True(RequestTarget.TryParse(raw, out var target, out var reason), reason);
        Assert.Equal(authority, target.Authority.ToString());
        Assert.Equal(sent, target.Sent.ToString());
        Assert.Equal(path, target.Path.ToString());
    }

    [Fact]
    public void Asterisk_form_is_sent_as_it_is_and_matched_as_the_root()
    {
        Assert.True(RequestTarget.TryParse("*", out var target, out _));
        Assert.True(target.IsAsterisk);
        Assert.Equal("*", target.Sent.ToString());
        Assert.Equal("/", target.Path.ToString());
    }

    [Fact]
    public void An_ordinary_target_costs_no_allocation()
    {
        var matched = 0;
        RequestTarget.TryParse("/api/orders/42?q=%20/../", out _, out _);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            RequestTarget.TryParse("/api/orders/42?q=%20/../", out var target, out _);
            matched += target.Path.Length;
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(14_000, matched);
    }

    /// <summary>
    /// A lenient and a strict reader of what is sent must come to the path that was matched: there is no dot segment
    /// in it before decoding or after, and resolving it again changes nothing.
    /// </summary>
    [Fact]
    public void No_reader_of_what_is_sent_sees_another_path()
    {
        var pieces = Gen.OneOf("/", "/", ".", "..", "%2e", "%2E", "%2f", "%5C", "a", "b;", "%", "%zz", "?", "%252e");
        pieces.Array[0, 12].Select(string.Concat).Sample(
            text =>
            {
                var raw = "/" + text;
                if (!RequestTarget.TryParse(raw, out var target, out _))
                    return;

                var sent = target.Sent.ToString();
                var sentPath = sent.Split('?')[0];
                Assert.StartsWith("/", sentPath);
                Assert.Equal(target.Path.ToString(), PercentEncoding.Decode(sentPath));
                Assert.DoesNotContain(target.Path.ToString().Split('/', '\\'), s => s is "." or "..");
                Assert.Equal(raw.Contains('?') ? raw[raw.IndexOf('?')..] : "", sent[sentPath.Length..]);
                Assert.True(RequestTarget.TryParse(sent, out var again, out _));
                Assert.Equal(sent, again.Sent.ToString());
                Assert.Equal(ResolveSlowly(raw), sentPath);
            },
            iter: 20_000);
    }

    /// <summary>RFC 3986 section 5.2.4 said slowly: a stack of segments.</summary>
    private static string ResolveSlowly(string raw)
    {
        var segments = raw.Split('?')[0][1..].Split('/');
        var kept = new List<string>();
        for (var i = 0; i < segments.Length; i++)
        {
            var plain = segments[i].Replace("%2e", ".", StringComparison.OrdinalIgnoreCase);
            if (plain is not ("." or ".."))
            {
                kept.Add(segments[i]);
                continue;
            }

            if (plain == ".." && kept.Count > 0)
                kept.RemoveAt(kept.Count - 1);
            if (i == segments.Length - 1)
                kept.Add("");
        }

        return "/" + string.Join('/', kept);
    }
}
