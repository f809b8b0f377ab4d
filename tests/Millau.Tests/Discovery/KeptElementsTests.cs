using System.Text;
using System.Text.Json;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class KeptElementsTests
{
    private readonly KeptElements<TaskModel> _elements = new(EngineJson.Default.TaskModel);

    [Fact]
    public void What_is_as_it_was_is_the_same_object()
    {
        var first = Parse("""[{"ID":"a","Slot":1}, {"ID":"b","Slot":2}]""")!;
        var second = Parse("""[ {"ID":"b","Slot":2},{"ID":"a","Slot":3} ]""")!;
        Assert.Same(first[1], second[0]);
        Assert.Equal(("a", 3), (second[1]!.Id, second[1]!.Slot));
        // As it was before the last list, which is forgotten.
        Assert.NotSame(first[0], Parse("""[{"ID":"a","Slot":1}]""")![0]);
    }

    [Fact]
    public void Nested_lists_and_empty_ones_are_stepped_over_whole()
    {
        const string Task = """{"ID":"a","NetworksAttachments":[{"Network":{"ID":"n","Spec":{"Name":"x]}"}},"Addresses":["10.0.0.1/24"]}]}""";
        var list = Parse($"[{Task},{Task}]")!;
        Assert.Equal(2, list.Count);
        Assert.Equal("x]}", list[1]!.NetworksAttachments![0]!.Network!.Spec!.Name);
        Assert.Empty(Parse("[]")!);
    }

    [Fact]
    public void Nulls_are_told()
    {
        Assert.Null(Parse("null"));
        Assert.Equal([null], Parse("[null]")!);
        Assert.Equal([null], Parse("[null]")!);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("1")]
    [InlineData("")]
    [InlineData("[{}")]
    [InlineData("[{]")]
    [InlineData("[{}]x")]
    [InlineData("[1]")]
    [InlineData("""[{"Slot":"no number"}]""")]
    public void What_is_no_list_of_these_is_refused_and_costs_nothing_that_was_kept(string json)
    {
        var kept = Parse("""[{"ID":"a"}]""")![0];
        Assert.ThrowsAny<JsonException>(() => Parse(json));
        Assert.Same(kept, Parse("""[{"ID":"a"}]""")![0]);
    }

    private List<TaskModel?>? Parse(string json) => _elements.Parse(Encoding.UTF8.GetBytes(json));
}
