using System.Text;
using Millau.Upstreams;

namespace Millau.Tests.Upstreams;

public class HeaderStringsTests
{
    [Fact]
    public void The_same_field_at_the_same_place_is_the_same_string()
    {
        var strings = new HeaderStrings();
        var (name, value) = strings.Get(0, "Server"u8, "nginx"u8);
        var again = strings.Get(0, "Server"u8, "nginx"u8);

        Assert.Same(name, again.Name);
        Assert.Same(value, again.Value);
        Assert.Equal(("Server", "other"), strings.Get(0, "Server"u8, "other"u8));
        Assert.Equal(("server", "other"), strings.Get(0, "server"u8, "other"u8));
    }

    [Fact]
    public void Whatever_was_there_before_the_field_is_what_it_is()
    {
        var strings = new HeaderStrings();
        string[] values = ["", "a", "b", "\u00fc\u00ff", "\u00fc\u00fe", "\u00fc\u00ff", new('x', 256), new('x', 257), new('y', 257), "a"];
        foreach (var place in new[] { 0, 1, 7, 8, 31, 32, int.MaxValue, 15, 16, 0 })
            foreach (var name in new[] { "A", "B" })
                foreach (var value in values)
                    Assert.Equal((name, value), strings.Get(place, Encoding.Latin1.GetBytes(name), Encoding.Latin1.GetBytes(value)));
    }
}
