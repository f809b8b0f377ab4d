using System.Text;
using Millau.Http1;
using Millau.Ingress;

namespace Millau.Tests.Ingress;

public class ProxyHeaderTests
{
    private const string Signature = "\r\n\r\n\0\r\nQUIT\n";
    private const string V4 = "\u0001\u0002\u0003\u0004\u0009\u0009\u0009\u0009\u0013\u0088\0P";
    private const string V6 = " \u0001\r\u00b8\0\0\0\0\0\0\0\0\0\0\0\u0001 \u0001\r\u00b8\0\0\0\0\0\0\0\0\0\0\0\u0002\u0013\u0088\0P";

    public static TheoryData<string, string> Good => new()
    {
        { "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n", "192.0.2.1:5000" },
        { "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535" },
        { "PROXY TCP6 2001:db8::1 2001:db8::2 5000 80\r\n", "[2001:db8::1]:5000" },
        { "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
        { "PROXY UNKNOWN\r\n", "" },
        { "PROXY UNKNOWN ffff::1 anything 1 2\r\n", "" },
        { Signature + "\u0021\u0011\0\u000c" + V4, "1.2.3.4:5000" },
        { Signature + "\u0021\u0021\0\u0024" + V6, "[2001:db8::1]:5000" },
        { Signature + "\u0021\u0011\0\u0013" + V4 + "\u0004\0\u0004abcd", "1.2.3.4:5000" },
        { Signature + "\u0021\u0011\0\u0012" + V4 + "\u00ee\0\0\u0001\0\0", "1.2.3.4:5000" },
        { Signature + "\u0020\0\0\0", "" },
        { Signature + "\u0020\u0011\0\u000c" + V4, "" },
        { Signature + "\u0020\u0099\0\u0002xx", "" },
        { Signature + "\u0021\0\0\u0003xyz", "" },
        { Signature + "\u0021\u0031\0\u00d8" + new string('x', 216), "" },
    };

    public static TheoryData<string> Bad => new(
        "GET / HTTP/1.1\r\n",
        "\u0016\u0003\u0001",
        "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 5000\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80 1\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 5000 80\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 5000 80\r\n",
        "PROXY TCP4 192.0.2 192.0.2.2 5000 80\r\n",
        "PROXY TCP4 3221225985 192.0.2.2 5000 80\r\n",
        "PROXY TCP4 0xc0.0.2.1 192.0.2.2 5000 80\r\n",
        "PROXY TCP4 010.0.2.1 192.0.2.2 5000 80\r\n",
        "PROXY TCP4 ::1 192.0.2.2 5000 80\r\n",
        "PROXY TCP6 192.0.2.1 ::1 5000 80\r\n",
        "PROXY TCP6 [::1] ::1 5000 80\r\n",
        "PROXY TCP6 fe80::1%1 ::1 5000 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 05000 80\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 5000 80\r\n",
        "PROXY tcp4 192.0.2.1 192.0.2.2 5000 80\r\n",
        "PROXY \r\n",
        "PROXY TCP4 192.0.2.1\t192.0.2.2 5000 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\0\r\n",
        "PROXY UNKNOWN " + new string('x', 100) + "\r\n",
        "PROXY UNKNOWN " + new string('x', 200),
        Signature + "\u0011\u0011\0\u000c" + V4,
        Signature + "\u0022\u0011\0\u000c" + V4,
        Signature + "\u0021\u0011\0\u000b" + V4,
        Signature + "\u0021\u0012\0\u000c" + V4,
        Signature + "\u0021\u0041\0\u000c" + V4,
        Signature + "\u0021\u0021\0\u000c" + V4,
        Signature + "\u0021\u0011\0\u000e" + V4 + "\u0004\0",
        Signature + "\u0021\u0011\0\u0010" + V4 + "\u0004\0\u0004a",
        Signature + "\u0021\u0011\u00ff\u00ff",
        "\r\n\r\n\0\r\nQUIT\r");

    [Theory]
    [MemberData(nameof(Good))]
    public void It_says_whose_connection_it_is_and_where_it_ends(string header, string source)
    {
        var bytes = Encoding.Latin1.GetBytes(header + "GET / HTTP/1.1\r\n");

        // From every length on which it is whole, and no sooner.
        for (var length = 0; length <= bytes.Length; length++)
        {
            var status = ProxyHeader.Parse(bytes.AsSpan(0, length), out var parsed);
            Assert.Equal(length < header.Length ? ParseStatus.Incomplete : ParseStatus.Complete, status);
            if (status != ParseStatus.Complete) continue;
            Assert.Equal(header.Length, parsed.Length);
            Assert.Equal(source, parsed.Source?.ToString() ?? "");
        }
    }

    [Theory]
    [MemberData(nameof(Bad))]
    public void Anything_else_is_refused(string header)
    {
        var bytes = Encoding.Latin1.GetBytes(header);

        Assert.Equal(ParseStatus.Invalid, ProxyHeader.Parse(bytes, out _));
        // Once refused it stays so, and no part of it was taken for a whole.
        var refused = false;
        for (var length = 0; length <= bytes.Length; length++)
        {
            var status = ProxyHeader.Parse(bytes.AsSpan(0, length), out _);
            Assert.NotEqual(ParseStatus.Complete, status);
            Assert.False(refused && status != ParseStatus.Invalid);
            refused |= status == ParseStatus.Invalid;
        }
    }
}
