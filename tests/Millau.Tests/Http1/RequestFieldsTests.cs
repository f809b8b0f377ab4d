using System.Text;
using Millau.Http1;

namespace Millau.Tests.Http1;

public class RequestFieldsTests
{
    [Fact]
    public void Fields_are_found_by_what_they_are_in_the_order_in_which_they_came()
    {
        var fields = With(("cookie", "a"), ("X-A", "1"), ("COOKIE", "b"), ("Connection", "close, X-A"));

        Assert.Equal((4, 2, 1, 0), (fields.Count, fields.CountOf(FieldName.Cookie), fields.CountOf(FieldName.Connection), fields.CountOf(FieldName.Host)));
        Assert.Equal("a", Encoding.Latin1.GetString(fields.First(FieldName.Cookie)));
        Assert.Equal("a,b", fields.Joined(FieldName.Cookie));
        Assert.Equal(["a", "b"], fields.Values(FieldName.Cookie));
        Assert.True(fields.Lists(FieldName.Connection, "x-a"u8));
        Assert.False(fields.Lists(FieldName.Connection, "x"u8));
        Assert.Null(fields.Text(FieldName.Host));
        fields.Release();
    }

    [Fact]
    public void Released_they_hold_nothing_of_the_request_before()
    {
        var fields = With(("Host", "a.test"));
        fields.Release();

        Assert.Equal((0, false, ""), (fields.Count, fields.Has(FieldName.Host), fields.Joined(FieldName.Host)));
        fields.Add("Host"u8, "b"u8);
        Assert.Equal("b", fields.Text(FieldName.Host));
        fields.Release();
    }

    [Fact]
    public void More_than_the_first_buffer_holds_is_kept_too()
    {
        var fields = new RequestFields();
        for (var i = 0; i < 100; i++) fields.Add(Encoding.ASCII.GetBytes($"X-{i}"), Encoding.ASCII.GetBytes(new string((char)('a' + i % 26), 300)));

        var place = 0;
        foreach (var field in fields.All)
        {
            Assert.Equal($"X-{place}", Encoding.ASCII.GetString(field.Name(fields.Bytes)));
            Assert.Equal(new string((char)('a' + place++ % 26), 300), Encoding.ASCII.GetString(field.Value(fields.Bytes)));
        }
        fields.Release();
    }

    [Fact]
    public void Every_name_is_found_in_any_case_and_none_that_only_resembles_it()
    {
        foreach (var known in Enum.GetValues<FieldName>())
        {
            if (known is FieldName.Other or FieldName.TrustDouble) continue;
            var name = NameOf(known);
            Assert.Equal(known, FieldNames.Of(Encoding.ASCII.GetBytes(name)));
            Assert.Equal(known, FieldNames.Of(Encoding.ASCII.GetBytes(name.ToUpperInvariant())));
            Assert.Equal(FieldName.Other, FieldNames.Of(Encoding.ASCII.GetBytes(name[..^1] + "!")));
            Assert.NotEqual(known, FieldNames.Of(Encoding.ASCII.GetBytes(name[1..])));
        }
    }

    // PascalCase is words with hyphens, but for two.
    private static string NameOf(FieldName known) => known switch
    {
        FieldName.Http2Settings => "http2-settings",
        FieldName.SecWebSocketAccept => "sec-websocket-accept",
        FieldName.SecWebSocketKey => "sec-websocket-key",
        FieldName.TraceParent or FieldName.TraceState => known.ToString().ToLowerInvariant(),
        _ => string.Concat(known.ToString().Select((c, i) => i > 0 && char.IsUpper(c) ? $"-{char.ToLowerInvariant(c)}" : $"{char.ToLowerInvariant(c)}")),
    };

    private static RequestFields With(params (string Name, string Value)[] all)
    {
        var fields = new RequestFields();
        foreach (var (name, value) in all) fields.Add(Encoding.Latin1.GetBytes(name), Encoding.Latin1.GetBytes(value));
        return fields;
    }
}
