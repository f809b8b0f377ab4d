using Millau.Http2;

namespace Millau.Tests.Http2;

public class StaticTableTests
{
    // RFC 7541 appendix A, in its order.
    private const string Table =
        """
        :authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|:status 206
        :status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|accept-language|accept-ranges|accept
        access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|content-language
        content-length|content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since
        if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range
        referer|refresh|retry-after|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate
        """;

    [Fact]
    public void Entries_are_those_of_the_RFC()
    {
        var entries = Table.ReplaceLineEndings("|").Split('|').Select(e => e.Split(' ', 2)).ToList();
        Assert.Equal(StaticTable.Count, entries.Count);
        for (var index = 1; index <= StaticTable.Count; index++)
        {
            var (name, value) = (entries[index - 1][0], entries[index - 1].ElementAtOrDefault(1) ?? "");
            var known = StaticTable.NameOf(index);
            Assert.Equal(name, Hpack.Text(StaticTable.Bytes(known)));
            Assert.Equal(value, Hpack.Text(StaticTable.Value(index)));
            Assert.Equal(known, StaticTable.Find(Hpack.Bytes(name)));
            Assert.Equal(name.Replace(":", "").Replace("-", ""), known.ToString().ToLowerInvariant());
            Assert.Equal(index == entries.FindIndex(e => e[0] == name) + 1, index == (int)known);
            if (name == ":status") Assert.Equal(index, StaticTable.StatusIndex(int.Parse(value)));
        }
    }

    [Fact]
    public void Other_names_are_not_found()
    {
        Assert.Equal(StaticName.None, StaticTable.Find([]));
        Assert.True(StaticTable.Bytes(StaticName.None).IsEmpty);
        foreach (var known in Enum.GetValues<StaticName>().Where(n => n != StaticName.None))
        {
            var name = StaticTable.Bytes(known).ToArray();
            for (var i = 0; i < name.Length; i++)
            {
                var other = name.ToArray();
                other[i] ^= 0x20;
                Assert.Equal(StaticName.None, StaticTable.Find(other));
                Assert.NotEqual(known, StaticTable.Find(name.AsSpan(0, i)));
            }
            Assert.Equal(StaticName.None, StaticTable.Find([.. name, (byte)'x']));
        }
        Assert.All(Enumerable.Range(0, 40), length => Assert.Equal(StaticName.None, StaticTable.Find(new byte[length])));
    }

    [Fact]
    public void Other_statuses_have_no_entry() =>
        Assert.Equal([200, 204, 206, 304, 400, 404, 500], Enumerable.Range(0, 1000).Where(s => StaticTable.StatusIndex(s) != 0));
}
