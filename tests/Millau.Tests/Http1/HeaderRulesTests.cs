using System.Text;
using Millau.Http1;

namespace Millau.Tests.Http1;

public class HeaderRulesTests
{
    [Theory]
    [InlineData("Connection", HeaderRule.HopByHop)]
    [InlineData("keep-alive", HeaderRule.HopByHop)]
    [InlineData("Proxy-Connection", HeaderRule.HopByHop)]
    [InlineData("Proxy-Authorization", HeaderRule.HopByHop)]
    [InlineData("HTTP2-Settings", HeaderRule.HopByHop)]
    [InlineData("Trailer", HeaderRule.HopByHop)]
    [InlineData("UPGRADE", HeaderRule.HopByHop)]
    [InlineData("Host", HeaderRule.Regenerated)]
    [InlineData("te", HeaderRule.Regenerated)]
    [InlineData("Expect", HeaderRule.Regenerated)]
    [InlineData("Content-Length", HeaderRule.Regenerated)]
    [InlineData("transfer-encoding", HeaderRule.Regenerated)]
    [InlineData("X-Forwarded-For", HeaderRule.Trust)]
    [InlineData("x_forwarded-proto", HeaderRule.Trust)]
    [InlineData("X_FORWARDED_HOST", HeaderRule.Trust)]
    [InlineData("X-Real_IP", HeaderRule.Trust)]
    [InlineData("Client-Cert", HeaderRule.Trust)]
    [InlineData("client_CERT", HeaderRule.Trust)]
    [InlineData("Client-Cert-Chain", HeaderRule.Trust)]
    [InlineData("client_cert_chain", HeaderRule.Trust)]
    [InlineData("Client-Certs", HeaderRule.Pass)]
    [InlineData("X-Forwarded-Foo", HeaderRule.Pass)]
    [InlineData("X-Forwarded-Port", HeaderRule.Pass)]
    [InlineData("Cookie", HeaderRule.Pass)]
    [InlineData("Via", HeaderRule.Pass)]
    [InlineData("", HeaderRule.Pass)]
    public void A_field_of_a_client(string name, object rule) => Assert.Equal(rule, HeaderRules.ForRequest(NameOf(name)));

    [Theory]
    [InlineData("connection", HeaderRule.HopByHop)]
    [InlineData("Keep-Alive", HeaderRule.HopByHop)]
    [InlineData("Upgrade", HeaderRule.HopByHop)]
    [InlineData("Trailer", HeaderRule.HopByHop)]
    [InlineData("TE", HeaderRule.HopByHop)]
    [InlineData("Proxy-Authenticate", HeaderRule.HopByHop)]
    [InlineData("Proxy-Connection", HeaderRule.HopByHop)]
    [InlineData("Content-Length", HeaderRule.Regenerated)]
    [InlineData("Transfer-Encoding", HeaderRule.Regenerated)]
    [InlineData("X-Forwarded-For", HeaderRule.Pass)]
    [InlineData("Set-Cookie", HeaderRule.Pass)]
    public void A_field_of_an_instance(string name, object rule) => Assert.Equal(rule, HeaderRules.ForResponse(NameOf(name)));

    [Theory]
    [InlineData("x-a", true)]
    [InlineData("close, X-A", true)]
    [InlineData("close ,\tX-A\t, b", true)]
    [InlineData("X-AB", false)]
    [InlineData("X-A b", false)]
    [InlineData(",", false)]
    [InlineData("", false)]
    public void A_connection_names_fields_in_a_list(string connection, bool names) =>
        Assert.Equal(names, HeaderRules.Names(Encoding.Latin1.GetBytes(connection), "X-A"u8));

    private static FieldName NameOf(string name) => FieldNames.Of(Encoding.Latin1.GetBytes(name));
}
