using System.Text;
using Millau.Http1;

namespace Millau.Tests.Http1;

public class RequestFramingTests
{
    [Theory]
    [InlineData("", 1, -1, false)]
    [InlineData("Content-Length: 0", 1, 0, false)]
    [InlineData("Content-Length: 0012", 1, 12, false)]
    [InlineData("Content-Length: 999999999999999999", 0, 999_999_999_999_999_999, false)]
    [InlineData("Transfer-Encoding: Chunked", 1, -1, true)]
    public void What_is_clear_is_read(string fields, int minorVersion, long length, bool chunked)
    {
        Assert.Null(Read(fields, minorVersion, out var framing));
        Assert.Equal(new RequestFraming(length, chunked), framing);
        Assert.Equal(chunked || length > 0, framing.HasBody);
    }

    [Theory]
    [InlineData("Content-Length: 2\nContent-Length: 2", 1, 400)]
    [InlineData("Content-Length: 2, 2", 1, 400)]
    [InlineData("Content-Length: +2", 1, 400)]
    [InlineData("Content-Length: 9999999999999999999", 1, 400)]
    [InlineData("Content-Length:", 1, 400)]
    [InlineData("Content-Length: 2\nTransfer-Encoding: chunked", 1, 400)]
    [InlineData("Transfer-Encoding: chunked", 0, 400)]
    [InlineData("Transfer-Encoding: chunked, chunked", 1, 400)]
    [InlineData("Transfer-Encoding: chunked\nTransfer-Encoding: chunked", 1, 400)]
    [InlineData("Transfer-Encoding: gzip, chunked", 1, 501)]
    [InlineData("Transfer-Encoding:", 1, 501)]
    public void What_is_in_any_doubt_is_refused(string fields, int minorVersion, int status) =>
        Assert.Equal(status, Read(fields, minorVersion, out _)!.Value.Status);

    private static HeadRefusal? Read(string lines, int minorVersion, out RequestFraming framing)
    {
        var fields = new RequestFields();
        foreach (var line in lines.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var colon = line.IndexOf(':');
            fields.Add(Encoding.Latin1.GetBytes(line[..colon]), Encoding.Latin1.GetBytes(line[(colon + 1)..].Trim()));
        }
        var refusal = RequestFraming.Read(fields, minorVersion, out framing);
        fields.Release();
        return refusal;
    }
}
