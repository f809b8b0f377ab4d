using System.Diagnostics;
using System.Globalization;
using Millau.SwarmTests.Support;

namespace Millau.SwarmTests;

/// <summary>How long a change in Docker takes to become a change in routing: under a second in each of these.</summary>
[Collection(nameof(Alone))]
public class RoutingDelay
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);

    private static Proxy Millau => SharedMillau.Proxy;

    public RoutingDelay() => Lab.Require();

    [Fact]
    public async Task A_new_service_answers_within_a_second_of_running()
    {
        var app = new EchoSpec("app", "new.test") { StartDelay = 0 };
        await using var stack = await Stack.DeployAsync("new", app);
        await Millau.UntilAsync("the new service answers", app.Host, a => a.Status == 200);
        Check("new service: running to first answer", DateTime.UtcNow - await RunningSinceAsync("new_app", []));
    }

    [Fact]
    public async Task A_new_replica_answers_within_a_second_of_running()
    {
        var app = new EchoSpec("app", "more.test") { StartDelay = 0 };
        await using var stack = await Stack.DeployAsync("more", app);
        await Millau.UntilAsync("the first replica answers", app.Host, a => a.Status == 200);
        var first = (await Millau.GetAsync(app.Host)).Instance;
        var before = await TasksAsync("more_app");
        await stack.ScaleAsync("app", 2);
        await Millau.UntilAsync("the second replica answers", app.Host, a => a.Status == 200 && a.Instance != first);
        Check("scale up: running to first answer", DateTime.UtcNow - await RunningSinceAsync("more_app", before));
    }

    [Fact]
    public async Task A_removed_replica_gets_no_request_after_a_second()
    {
        // It would serve for three more seconds (the Engine's own delay), and 2 s after SIGTERM: only Millau's choice ends it.
        var app = new EchoSpec("app", "less.test") { Replicas = 2, StartDelay = 0, StopDelay = 2000 };
        await using var stack = await Stack.DeployAsync("less", app);
        await Millau.UntilInstancesAsync(app.Host, 2);
        await stack.ScaleAsync("app", 1);
        var clock = Stopwatch.StartNew();
        var last = new Dictionary<string, TimeSpan>();
        while (clock.Elapsed < TimeSpan.FromSeconds(2.5))
        {
            var answer = await Millau.GetAsync(app.Host);
            Assert.Equal(200, answer.Status);
            last[answer.Instance] = clock.Elapsed;
        }
        // In two and a half seconds both are still there to answer, yet one is asked no more.
        Assert.Equal(2, last.Count);
        Check("scale down: command to last request to the leaving instance", last.Values.Min());
    }

    [Fact]
    public async Task A_changed_label_holds_within_a_second()
    {
        var app = new EchoSpec("app", "label-old.test") { StartDelay = 0 };
        await using var stack = await Stack.DeployAsync("label", app);
        await Millau.UntilAsync("the service answers", app.Host, a => a.Status == 200);
        await stack.UpdateAsync("app", "--label-add", "millau.hosts=label-new.test");
        Check("label change: command to first answer under the new host",
            await Millau.UntilAsync("the new host answers", "label-new.test", a => a.Status == 200));
        await Millau.UntilAsync("the old host is gone", app.Host, a => a.Status == 502, deadline: Limit);
    }

    [Fact]
    public async Task A_new_label_on_a_running_service_holds_within_a_second()
    {
        var app = new EchoSpec("app", "enable.test") { StartDelay = 0, Labels = ["millau.enabled=false"] };
        await using var stack = await Stack.DeployAsync("enable", app);
        await Until.TrueAsync("its container runs", async () => (await stack.ContainersAsync(Lab.A, "app")).Length == 1);
        Assert.Equal(502, (await Millau.GetAsync(app.Host)).Status);
        await stack.UpdateAsync("app", "--label-add", "millau.enabled=true");
        Check("millau.enabled=true: command to first answer",
            await Millau.UntilAsync("the service answers", app.Host, a => a.Status == 200));
    }

    [Fact]
    public async Task A_removed_service_gets_no_request_after_a_second()
    {
        // Two services share a host: the one that is removed would serve for six more seconds, but the other one can.
        var app = new EchoSpec("stays", "rm.test") { StartDelay = 0 };
        await using var stack = await Stack.DeployAsync("rm", app, app with { Name = "goes", StopDelay = 3000 });
        await Millau.UntilInstancesAsync(app.Host, 2);
        await Lab.A.DockerAsync("service", "rm", "rm_goes");
        var clock = Stopwatch.StartNew();
        var last = TimeSpan.Zero;
        while (clock.Elapsed < TimeSpan.FromSeconds(2.5))
        {
            var answer = await Millau.GetAsync(app.Host);
            Assert.Equal(200, answer.Status);
            if (answer.Name == "goes")
                last = clock.Elapsed;
        }
        Check("service rm: command to last request given to it", last);
    }

    [Fact]
    public async Task An_unhealthy_instance_gets_no_request_after_a_second()
    {
        var app = new EchoSpec("app", "sick.test") { Replicas = 2, StartDelay = 0, StopDelay = 3000, HealthCheck = true };
        await using var stack = await Stack.DeployAsync("sick", app);
        await Millau.UntilInstancesAsync(app.Host, 2);
        var sick = (await Millau.GetAsync(app.Host, "/unhealthy")).Instance;
        // The Engine's health check finds it first (500 ms); from its verdict on, time counts.
        var since = DateTime.MinValue;
        await Until.TrueAsync("the Engine calls it unhealthy", async () =>
        {
            foreach (var container in await stack.ContainersAsync(Lab.A, "app"))
                if (await Lab.A.DockerAsync("inspect", "--format", "{{.State.Health.Status}}", container) == "unhealthy")
                    since = DateTime.UtcNow;
            return since != DateTime.MinValue;
        });
        var last = since;
        var seen = 0;
        while (DateTime.UtcNow < since + TimeSpan.FromSeconds(1.8))
        {
            var answer = await Millau.GetAsync(app.Host);
            Assert.Equal(200, answer.Status);
            seen++;
            if (answer.Instance == sick)
                last = DateTime.UtcNow;
        }
        Assert.True(seen > 10);
        Check("unhealthy: the Engine's verdict to the last request", last - since);
    }

    private static void Check(string what, TimeSpan time)
    {
        Figures.Add(what, time);
        Assert.InRange(time, TimeSpan.FromSeconds(-0.1), Limit);
    }

    private static async Task<string[]> TasksAsync(string service) =>
        (await Lab.A.DockerAsync("service", "ps", "-q", "--no-trunc", service)).Split('\n');

    /// <summary>When the newest task of the service, none of those named, became `running`, by the Engine's clock, which is this
    /// machine's.</summary>
    private static async Task<DateTime> RunningSinceAsync(string service, string[] but)
    {
        var task = (await TasksAsync(service)).Except(but).Single();
        var (state, time) = (await Lab.A.DockerAsync("inspect", "--format", "{{.Status.State}} {{json .Status.Timestamp}}", task)).Split(' ') switch
        {
            [var s, var t] => (s, t.Trim('"')),
            var other => throw new InvalidOperationException(string.Join(' ', other)),
        };
        Assert.Equal("running", state);
        return DateTime.Parse(time, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal | DateTimeStyles.AssumeUniversal);
    }
}
