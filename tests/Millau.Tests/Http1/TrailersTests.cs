using System.Text;
using Millau.Http1;

namespace Millau.Tests.Http1;

public class TrailersTests
{
    [Theory]
    [InlineData("X-Sum")]
    [InlineData("Grpc-Status")]
    [InlineData("Server-Timing")]
    [InlineData("ETag")]
    public void What_only_informs_may_stand_behind_a_body(string name) => Assert.True(Trailers.MayPass(Latin1(name)));

    [Theory]
    [InlineData("Content-Length")]
    [InlineData("transfer-encoding")]
    [InlineData("HOST")]
    [InlineData("Trailer")]
    [InlineData("TE")]
    [InlineData("Connection")]
    [InlineData("Expect")]
    [InlineData("Authorization")]
    [InlineData("Proxy-Authorization")]
    [InlineData("WWW-Authenticate")]
    [InlineData("Cookie")]
    [InlineData("set-cookie")]
    [InlineData("Content-Type")]
    [InlineData("Content-Encoding")]
    [InlineData("Range")]
    [InlineData("If-None-Match")]
    [InlineData("Cache-Control")]
    [InlineData("X-Forwarded-For")]
    [InlineData("x_forwarded_for")]
    [InlineData("Idempotency-Key")]
    public void What_has_a_say_in_the_message_may_not(string name) => Assert.False(Trailers.MayPass(Latin1(name)));

    [Fact]
    public void Announced_names_are_those_that_may_come()
    {
        Assert.Equal("X-A, X-B", Trailers.Announced(Latin1("X-A, Content-Length,, X-B\t, a b")));
        Assert.Null(Trailers.Announced("Host"u8));
        Assert.Null(Trailers.Announced([]));
    }

    [Fact]
    public void A_section_is_read_field_by_field()
    {
        Assert.True(Trailers.TryRead(Latin1("X-A:  1 \nHost: b\nX-B:\nx-a: \u00e9\n"), out var fields));
        Assert.Equal([("X-A", "1"), ("X-B", ""), ("x-a", "\u00e9")], fields!);
        Assert.True(Trailers.TryRead([], out fields));
        Assert.Null(fields);
    }

    [Theory]
    [InlineData("no colon\n")]
    [InlineData(": 1\n")]
    [InlineData("X A: 1\n")]
    [InlineData("X-A : 1\n")]
    [InlineData(" X-A: 1\n")]
    [InlineData("X-A: 1\u0001\n")]
    [InlineData("X-A: 1\nX-B\n")]
    [InlineData("Host\u0000: 1\n")]
    public void A_section_that_does_not_fit_the_grammar_is_refused(string section) =>
        Assert.False(Trailers.TryRead(Latin1(section), out _));

    private static byte[] Latin1(string text) => Encoding.Latin1.GetBytes(text);
}
