using System.Text.Json;
using System.Text.RegularExpressions;

namespace Millau.Tests.Deploy;

/// <summary>
/// The monitoring files by themselves: no Grafana is to be had for tests, so the dashboard is held to what Grafana needs
/// of it. Its expressions are asked of a real Prometheus in Millau.PeerTests.
/// </summary>
public class MonitoringTests
{
    private static readonly string Monitoring = Path.Combine(Repository.Root, "deploy/monitoring");

    private static readonly JsonElement Dashboard = JsonDocument.Parse(
        File.ReadAllText(Path.Combine(Monitoring, "grafana/dashboards/millau.json"))).RootElement;

    private static IEnumerable<JsonElement> Panels => Dashboard.GetProperty("panels").EnumerateArray();

    private static IEnumerable<JsonElement> Targets =>
        Panels.Where(p => p.TryGetProperty("targets", out _)).SelectMany(p => p.GetProperty("targets").EnumerateArray());

    [Fact]
    public void Panels_have_an_id_of_their_own_a_title_and_a_place_that_no_other_has()
    {
        Assert.Distinct(Panels.Select(p => p.GetProperty("id").GetInt32()));
        Assert.All(Panels, p => Assert.NotEqual("", p.GetProperty("title").GetString()));
        var cells = new HashSet<(int, int)>();
        foreach (var place in Panels.Select(p => p.GetProperty("gridPos")))
        {
            var (x, y, w, h) = (place.GetProperty("x").GetInt32(), place.GetProperty("y").GetInt32(), place.GetProperty("w").GetInt32(), place.GetProperty("h").GetInt32());
            Assert.InRange(x + w, 1, 24);
            for (var i = x; i < x + w; i++)
                for (var j = y; j < y + h; j++)
                    Assert.True(cells.Add((i, j)), $"two panels at {i},{j}");
        }
    }

    [Fact]
    public void Each_question_goes_to_the_data_source_that_the_visitor_chooses()
    {
        Assert.All(Targets, t => Assert.Equal("${datasource}", t.GetProperty("datasource").GetProperty("uid").GetString()));
        var variables = Dashboard.GetProperty("templating").GetProperty("list").EnumerateArray().Select(v => v.GetProperty("name").GetString()!).ToHashSet();
        var used = Targets.SelectMany(t => Regex.Matches(t.GetRawText(), @"\$\{?([a-z]+)").Select(m => m.Groups[1].Value)).ToHashSet();
        Assert.Subset(variables, used);
    }

    [Fact]
    public void The_node_graph_has_its_nodes_and_edges_as_tables()
    {
        var graph = Assert.Single(Panels, p => p.GetProperty("type").GetString() == "nodeGraph");
        var targets = graph.GetProperty("targets").EnumerateArray().ToList();
        Assert.Equal(["nodes", "edges"], targets.Select(t => t.GetProperty("refId").GetString()));
        Assert.All(targets, t => Assert.Equal("table", t.GetProperty("format").GetString()));
        Assert.All(targets, t => Assert.True(t.GetProperty("instant").GetBoolean()));

        // The names of fields by which the panel knows what is what; a table's columns are called after labels, its numbers Value #QUERY.
        Assert.Equal(["max by (id, title, mainstat) (millau_topology_status)", "sum by (id, source, target) (millau_topology_requests_total)"],
            targets.Select(t => t.GetProperty("expr").GetString()));
        var organize = Assert.Single(graph.GetProperty("transformations").EnumerateArray());
        Assert.Equal("organize", organize.GetProperty("id").GetString());
        Assert.Equal("""{"Value #edges":"mainstat"}""", Compact(organize.GetProperty("options").GetProperty("renameByName")));
        Assert.Equal("""{"Time":true,"Value #nodes":true}""", Compact(organize.GetProperty("options").GetProperty("excludeByName")));
    }

    private static string Compact(JsonElement element) => JsonSerializer.Serialize(element);

    [Fact]
    public void Dashboard_and_alerts_ask_for_metrics_that_exist()
    {
        var explained = Regex.Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs/metrics.md")), "`((?:millau|process|dotnet)_[a-z_]+)`")
            .Select(m => m.Groups[1].Value).ToHashSet();
        var asked = Regex.Matches(
                string.Join('\n', Targets.Select(t => t.GetProperty("expr").GetString())) + File.ReadAllText(Path.Combine(Monitoring, "alerts.yml")),
                "(?:millau|process|dotnet)_[a-z_]+").Select(m => Regex.Replace(m.Value, "_(bucket|sum|count)$", "")).ToHashSet();
        Assert.Subset(explained, asked);
    }

    [Fact]
    public void Files_that_the_stack_mounts_exist()
    {
        var files = Regex.Matches(File.ReadAllText(Path.Combine(Monitoring, "docker-compose.yml")), @"file: \./(.+)").Select(m => m.Groups[1].Value).ToList();
        Assert.Equal(5, files.Count);
        Assert.All(files, f => Assert.True(File.Exists(Path.Combine(Monitoring, f)), f));
    }
}
