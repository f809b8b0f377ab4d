using System.Net;
using System.Text;
using Millau.Forwarding;
using Millau.Http1;
using Millau.Ingress;

namespace Millau.Tests.Forwarding;

public class ForwardedFieldsTests
{
    [Fact]
    public void Each_request_gets_its_own_values_whatever_those_before_it_had()
    {
        var context = new RequestContext(new ImaginedExchange(new ClientPeer(IPAddress.Loopback), "GET", "/"));
        var writer = new RequestWriter();

        Assert.Equal(Fields("a.test", "10.0.0.1", "http", "a.test", "10.0.0.1"), Write("a.test", "10.0.0.1"));
        Assert.Equal(Fields("a.test", "10.0.0.1", "http", "a.test", "10.0.0.1"), Write("a.test", "10.0.0.1"));
        Assert.Equal(Fields("b.test", "10.0.0.1", "http", "b.test", "10.0.0.1"), Write("b.test", "10.0.0.1"));
        Assert.Equal(Fields("b.test", "10.0.0.2", "http", "b.test", "10.0.0.2"), Write("b.test", "10.0.0.2"));
        Assert.Equal(Fields("b.test", "10.0.0.2", "https", "b.test", "10.0.0.2"), Write("b.test", "10.0.0.2", "https"));
        Assert.Equal(Fields("b.test", "9.9.9.9, 10.0.0.2", "https", "b.test", "10.0.0.2"), Write("b.test", "10.0.0.2", "https", "9.9.9.9, 10.0.0.2"));
        Assert.Equal(Fields("b.test", "10.0.0.2", "https", "c.test", "10.0.0.2"), Write("b.test", "10.0.0.2", "https", null, "c.test"));
        Assert.Equal(Fields("b.test", "10.0.0.2", "https", "b.test", "10.0.0.2"), Write("b.test", "10.0.0.2", "https"));

        string Write(string host, string address, string scheme = "http", string? chain = null, string? forwardedHost = null)
        {
            (context.Host, context.ClientAddress, context.Exchange.Scheme) = (host, address, scheme);
            (context.ForwardedFor, context.ForwardedHost) = (chain, forwardedHost);
            writer.Start("GET", "/");
            context.Forwarded.Write(context, writer);
            var text = Encoding.Latin1.GetString(writer.Written.Span);
            writer.Release();
            return text;
        }
    }

    [Fact]
    public void A_value_that_fits_no_field_leaves_the_head_invalid_each_time()
    {
        var context = new RequestContext(new ImaginedExchange(new ClientPeer(IPAddress.Loopback), "GET", "/"))
        {
            Host = "a\nb", ClientAddress = "10.0.0.1",
        };
        var writer = new RequestWriter();
        for (var i = 0; i < 2; i++)
        {
            writer.Start("GET", "/");
            context.Forwarded.Write(context, writer);
            Assert.False(writer.IsValid);
            writer.Release();
        }
    }

    private static string Fields(string host, string chain, string scheme, string forwardedHost, string address) =>
        $"GET / HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {chain}\r\nX-Forwarded-Proto: {scheme}\r\nX-Forwarded-Host: {forwardedHost}\r\n"
        + $"X-Real-IP: {address}\r\n";
}
