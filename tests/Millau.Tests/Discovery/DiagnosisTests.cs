using System.Collections.Immutable;
using System.Net;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class DiagnosisTests
{
    [Fact]
    public void A_service_without_labels_is_told_which_to_add()
    {
        var problem = Only(App(ports: [8080]) with { Labels = [] }, isRouted: false);
        Assert.Equal(("no-labels", ProblemSeverity.Info), (problem.Code, problem.Severity));
        Assert.Equal("To route it, add millau.enabled=true and millau.port=8080 under deploy.labels.", problem.Advice);
    }

    [Fact]
    public void Labels_on_the_containers_are_to_be_moved()
    {
        var problem = Only(
            App() with { Labels = [], Notice = "millau.port: set on the containers, allowed under the service's deploy.labels" },
            isRouted: false);
        Assert.Equal(("labels-on-containers", ProblemSeverity.Error), (problem.Code, problem.Severity));
        Assert.Contains("from labels: to deploy.labels:", problem.Advice, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("millau.enabled", "false", "disabled", "Info", "Set millau.enabled=true")]
    [InlineData("millau.hosts", "a.example", "not-enabled", "Warning", "Add millau.enabled=true under deploy.labels.")]
    public void One_that_is_not_enabled_is_told_apart_from_one_that_is_disabled(
        string label, string value, string code, string severity, string advice)
    {
        var problem = Only(App() with { Labels = [new(label, value)] }, isRouted: false);
        Assert.Equal((code, severity), (problem.Code, problem.Severity.ToString()));
        Assert.StartsWith(advice, problem.Advice, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_port_comes_with_the_port_that_the_container_exposes()
    {
        var problem = Only(App(ports: [3000]) with { Labels = [new("millau.enabled", "true")] }, isRouted: false);
        Assert.Equal(("port-missing", ProblemSeverity.Error), (problem.Code, problem.Severity));
        Assert.StartsWith("Set millau.port=3000:", problem.Advice, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_label_comes_with_the_nearest_known_one()
    {
        var problem = Only(App(("millau.hots", "x")), isRouted: false);
        Assert.Equal("unknown-label", problem.Code);
        Assert.Equal("Did you mean millau.hosts? Rename it, or remove it.", problem.Advice);
    }

    [Fact]
    public void A_bad_value_comes_with_what_is_allowed_and_whether_the_old_routing_holds()
    {
        var unrouted = Only(App(("millau.path", "x")), isRouted: false);
        Assert.Equal(("bad-value", ProblemSeverity.Error), (unrouted.Code, unrouted.Severity));
        Assert.Equal("millau.path=\"x\" is not allowed.", unrouted.Text);
        Assert.StartsWith("Allowed: ", unrouted.Advice, StringComparison.Ordinal);

        var kept = Only(App(("millau.path", "x")), isRouted: true);
        Assert.Equal(ProblemSeverity.Warning, kept.Severity);
        Assert.EndsWith("Its last good routing is kept.", kept.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void No_shared_network_names_both_sides()
    {
        var problem = Assert.Single(Of(App(), isRouted: false, noNetwork: ("backend", "millau,proxy")));
        Assert.Equal("no-shared-network", problem.Code);
        Assert.Equal("It shares no network with Millau: it is on backend, Millau reaches millau,proxy.", problem.Text);
        Assert.Contains("(millau,proxy)", problem.Advice, StringComparison.Ordinal);
        Assert.Contains("(backend)", problem.Advice, StringComparison.Ordinal);
    }

    [Fact]
    public void Why_nobody_runs_is_told_in_Dockers_words()
    {
        var none = App() with { Instances = [], Wanted = 2 };
        Assert.Equal("scaled-to-zero", Only(none with { Wanted = 0 }).Code);
        Assert.Equal("docker service scale app=1", Only(none with { Wanted = 0 }).Advice);
        Assert.Equal("no-instance", Only(none).Code);
        Assert.Equal(("starting", ProblemSeverity.Warning), (Only(none with { IsStarting = true }).Code, Only(none with { IsStarting = true }).Severity));

        var failed = Only(none with { TaskError = "No such image: nope" });
        Assert.Equal(("cannot-start", "None of its instances runs. Docker says: No such image: nope."), (failed.Code, failed.Text));
        var again = Only(none with { TaskError = "task: non-zero exit (1)", IsStarting = true });
        Assert.Equal(
            ("cannot-start", "None of its instances runs; another is on its way up. Docker says: task: non-zero exit (1)."), (again.Code, again.Text));
        Assert.Equal("unhealthy", Only(none with { TaskError = "task: non-zero exit (137): dockerexec: unhealthy container" }).Code);
    }

    [Fact]
    public void Some_that_do_not_come_up_are_told_beside_those_that_run()
    {
        var problem = Only(App() with { Wanted = 3, TaskError = "no suitable node" }, instances: 1);
        Assert.Equal(("cannot-start", ProblemSeverity.Warning), (problem.Code, problem.Severity));
        Assert.StartsWith("1 of 3 instances run.", problem.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Unhealthy_instances_are_named()
    {
        var app = App();
        var problem = Only(app with { Instances = [app.Instances[0] with { IsUnhealthy = true }] }, instances: 1);
        Assert.Equal(("unhealthy", ProblemSeverity.Error), (problem.Code, problem.Severity));
        Assert.Contains("app.1", problem.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("millau.cert", "LS0tLS1C", true)]
    [InlineData("Millau.Key", "LS0tLS1C", true)]
    [InlineData("millau.clientkey", "LS0tLS1C", true)]
    [InlineData("millau.ca", "LS0tLS1C", true)]
    [InlineData("millau.key", "secret:tls-key", false)]
    [InlineData("millau.key", "", false)]
    [InlineData("millau.kye", "-----BEGIN PRIVATE KEY-----", true)]
    [InlineData("millau.port", "8080", false)]
    public void Key_material_is_hidden_whatever_the_label_is_called(string label, string value, bool hidden) =>
        Assert.Equal(hidden ? "(hidden)" : value, LabelSecrets.Shown(label, value));

    [Fact]
    public void A_long_value_is_taken_for_a_key_unless_it_may_be_long()
    {
        var value = new string('a', 101);
        Assert.Equal("(hidden)", LabelSecrets.Shown("millau.kye", value));
        Assert.Equal(value, LabelSecrets.Shown("millau.hosts", value));

        var problem = Assert.Single(ServiceLabels.Read([new("millau.kye", value)]).Problems);
        Assert.Equal("(hidden)", problem.Value);
    }

    private static FoundService App(params (string Name, string Value)[] labels) => App(labels, []);

    private static FoundService App(ImmutableArray<int> ports) => App([], ports);

    private static FoundService App((string Name, string Value)[] labels, ImmutableArray<int> ports)
    {
        var map = new Dictionary<string, string?> { ["millau.enabled"] = "true", ["millau.port"] = "80" };
        foreach (var (name, value) in labels)
            map[name] = value;
        return new FoundService
        {
            Origin = ServiceOrigin.Swarm,
            Name = "app",
            Labels = map,
            Instances =
            [
                new("t", "app.1", "c", InstancePhase.Running, [new("n", "millau", IPAddress.Parse("10.0.1.1"))]),
            ],
            Wanted = 1,
            ExposedPorts = ports,
        };
    }

    private static Problem Only(FoundService found, bool isRouted = true, int? instances = null) =>
        Assert.Single(Of(found, isRouted, instances));

    private static ImmutableArray<Problem> Of(
        FoundService found, bool isRouted, int? instances = null, (string, string)? noNetwork = null) =>
        Diagnosis.Of(found, ServiceLabels.Read(found.Labels), isRouted, instances ?? found.Instances.Length, noNetwork);
}
