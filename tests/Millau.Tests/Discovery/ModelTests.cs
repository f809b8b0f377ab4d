using System.Text.Json;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

/// <summary>Answers in the shape of a real Engine (20.10), much of it unused, become what they mean.</summary>
public class ModelTests
{
    private const string Service = """
        {"ID":"svc1","Version":{"Index":4711},"CreatedAt":"2026-01-01T00:00:00.1Z","UpdatedAt":"2026-01-01T00:00:00.1Z",
         "Spec":{"Name":"stack_app","Labels":{"com.docker.stack.namespace":"stack","millau.enabled":"true","millau.port":"80"},
          "TaskTemplate":{"ContainerSpec":{"Image":"app:latest","Labels":{"com.docker.stack.namespace":"stack"},"Isolation":"default"},
           "Resources":{},"Placement":{},"Networks":[{"Target":"net1","Aliases":["app"]}],"ForceUpdate":0,"Runtime":"container"},
          "Mode":{"Replicated":{"Replicas":2}},"EndpointSpec":{"Mode":"vip"}},
         "Endpoint":{"Spec":{"Mode":"vip"},"VirtualIPs":[{"NetworkID":"net1","Addr":"10.0.1.5/24"}]},
         "UpdateStatus":{"State":"updating","StartedAt":"2026-01-01T00:00:00Z","Message":"update in progress"}}
        """;

    private const string Task = """
        {"ID":"task1","Version":{"Index":99},"Labels":{},"Spec":{"ContainerSpec":{"Image":"app"}},"ServiceID":"svc1","Slot":2,
         "NodeID":"node1","Status":{"Timestamp":"2026-01-01T00:00:00Z","State":"running","Message":"started",
          "ContainerStatus":{"ContainerID":"c0ffee","PID":1234,"ExitCode":0},"PortStatus":{}},"DesiredState":"running",
         "NetworksAttachments":[
          {"Network":{"ID":"ing","Spec":{"Name":"ingress","Labels":{},"Ingress":true,"Scope":"swarm"}},"Addresses":["10.0.0.9/24"]},
          {"Network":{"ID":"net1","Spec":{"Name":"millau","Labels":{},"Attachable":true,"Scope":"swarm"}},"Addresses":["10.0.1.72/24"]}]}
        """;

    [Fact]
    public void A_task_becomes_an_instance_without_its_ingress_address()
    {
        var instance = Assert.Single(SwarmModel.Instances(Read<ServiceModel>(Service), [Read<TaskModel>(Task)], false, _ => []));
        Assert.Equal("task1", instance.Id);
        Assert.Equal("stack_app.2.task1", instance.Name);
        Assert.Equal("c0ffee", instance.ContainerId);
        Assert.Equal(InstancePhase.Running, instance.Phase);
        var address = Assert.Single(instance.Addresses);
        Assert.Equal(("net1", "millau", "10.0.1.72"), (address.NetworkId, address.NetworkName, address.Address.ToString()));
    }

    [Theory]
    [InlineData("failed", "task: non-zero exit (1)", "task: non-zero exit (1)")]
    [InlineData("complete", "", "task complete: it ended with exit code 0, by itself or because its health check failed")]
    [InlineData("shutdown", "", "")]
    public void Why_a_task_ended_is_told_until_as_many_run_as_are_wanted(string state, string error, string told)
    {
        var service = Read<ServiceModel>(Service);
        service = service with { Spec = service.Spec! with { Mode = new ServiceModeModel(new ReplicatedModel(1)) } };
        var running = Read<TaskModel>(Task);
        var ended = running with { DesiredState = "shutdown", Status = running.Status! with { State = state, Err = error } };
        var next = running with { DesiredState = "ready", Status = running.Status with { State = "ready" } };
        Assert.Equal(told, SwarmModel.TaskError(service, [next, ended]));
        Assert.Equal("", SwarmModel.TaskError(service, [running, ended]));
    }

    [Theory]
    [InlineData("running", "running", InstancePhase.Running)]
    [InlineData("shutdown", "running", InstancePhase.Stopping)]
    [InlineData("remove", "running", InstancePhase.Stopping)]
    public void A_running_task_that_is_not_meant_to_run_is_stopping(string desired, string state, object phase) =>
        Assert.Equal((InstancePhase)phase, Assert.Single(Instances(desired, state)).Phase);

    [Theory]
    [InlineData("running", "starting")]
    [InlineData("shutdown", "shutdown")]
    [InlineData("running", "failed")]
    [InlineData("ready", "ready")]
    [InlineData("remove", "orphaned")]
    public void A_task_that_does_not_run_is_no_instance(string desired, string state) =>
        Assert.Empty(Instances(desired, state));

    [Theory]
    [InlineData("running", "new", "", true)]
    [InlineData("running", "pending", "", true)]
    [InlineData("running", "pending", "no suitable node", false)]
    [InlineData("running", "preparing", "", true)]
    [InlineData("ready", "ready", "", true)]
    [InlineData("running", "running", "", false)]
    [InlineData("running", "failed", "exit 1", false)]
    [InlineData("shutdown", "starting", "", false)]
    public void A_wanted_task_before_running_is_on_its_way_up(string desired, string state, string error, bool isStarting) =>
        Assert.Equal(isStarting, SwarmModel.IsStarting(TaskIn(desired, state, error)));

    [Fact]
    public void A_service_has_settled_when_all_wanted_run_and_nothing_else_lives()
    {
        var updating = Read<ServiceModel>(Service);
        var service = updating with { UpdateStatus = new UpdateStatusModel("completed") };
        TaskModel[] two = [TaskIn("running", "running"), TaskIn("running", "running")];
        Assert.True(SwarmModel.IsSettled(service, two));
        Assert.True(SwarmModel.IsSettled(service, [.. two, TaskIn("shutdown", "failed")]));
        Assert.False(SwarmModel.IsSettled(updating, two));
        Assert.False(SwarmModel.IsSettled(service, two[..1]));
        Assert.False(SwarmModel.IsSettled(service, [.. two, TaskIn("shutdown", "running")]));
        Assert.False(SwarmModel.IsSettled(service, [.. two, TaskIn("ready", "ready")]));
    }

    [Fact]
    public void Labels_under_the_container_are_noticed()
    {
        var service = Read<ServiceModel>(Service.Replace(
            "\"Image\":\"app:latest\",\"Labels\":{", "\"Image\":\"app:latest\",\"Labels\":{\"Millau.Port\":\"80\",",
            StringComparison.Ordinal));
        Assert.Contains("Millau.Port", SwarmModel.MisplacedLabels(service), StringComparison.Ordinal);
        Assert.Contains("deploy.labels", SwarmModel.MisplacedLabels(service), StringComparison.Ordinal);
        Assert.Empty(SwarmModel.MisplacedLabels(Read<ServiceModel>(Service)));
    }

    [Fact]
    public void What_an_engine_leaves_out_or_writes_as_null_does_no_harm()
    {
        var service = Read<ServiceModel>("""{"ID":"s","Spec":{"Name":"n","Labels":null,"TaskTemplate":{"ContainerSpec":null},"Mode":null}}""");
        var task = Read<TaskModel>("""{"ID":"t","ServiceID":"s","DesiredState":"running","Status":{"State":"running","ContainerStatus":null},"NetworksAttachments":null}""");
        Assert.False(SwarmModel.HasMillauLabels(service));
        Assert.Empty(SwarmModel.MisplacedLabels(service));
        Assert.Empty(Assert.Single(SwarmModel.Instances(service, [task], false, _ => [])).Addresses);
        Assert.Empty(SwarmModel.Instances(service, [Read<TaskModel>("""{"ID":"t","ServiceID":"s"}""")], false, _ => []));
    }

    [Theory]
    [InlineData("running", "Up 2 minutes", InstancePhase.Running, false)]
    [InlineData("running", "Up 2 minutes (healthy)", InstancePhase.Running, false)]
    [InlineData("running", "Up 2 minutes (unhealthy)", InstancePhase.Stopping, false)]
    [InlineData("running", "Up 2 seconds (health: starting)", null, true)]
    [InlineData("exited", "Exited (0) 3 minutes ago", null, false)]
    [InlineData("restarting", "Restarting (1) 3 seconds ago", null, true)]
    [InlineData("created", "Created", null, false)]
    [InlineData("paused", "Up 2 minutes (Paused)", null, false)]
    public void A_container_serves_when_it_runs_and_is_not_unhealthy(string state, string status, object? phase, bool isStarting)
    {
        var service = Assert.Single(PlainModel.Services([Container(state, status)]));
        Assert.Equal("web", service.Name);
        Assert.Equal(isStarting, service.IsStarting);
        Assert.Equal(phase, service.Instances.IsEmpty ? null : Assert.Single(service.Instances).Phase);
    }

    [Fact]
    public void The_health_field_of_newer_engines_decides_where_it_is()
    {
        var container = Read<ContainerModel>("""{"Id":"a","Names":["/x"],"State":"running","Status":"Up","Health":{"Status":"unhealthy","FailingStreak":3}}""");
        Assert.False(PlainModel.IsServing(container));
        Assert.True(PlainModel.IsServing(container with { Health = new HealthModel("none") }));
    }

    [Fact]
    public void Containers_of_one_compose_service_are_its_instances_and_swarm_tasks_are_none()
    {
        var compose = new Dictionary<string, string?> { ["com.docker.compose.service"] = "web" };
        var services = PlainModel.Services(
        [
            Container("running", "Up") with { Id = "1", Labels = compose },
            Container("running", "Up") with { Id = "2", Labels = compose },
            Container("running", "Up") with { Id = "3", Labels = new() { ["com.docker.swarm.task.id"] = "t" } },
            Container("running", "Up") with { Id = "4", Names = ["/other/web", "/alone"], Labels = null },
        ]).ToList();
        Assert.Equal(["web", "alone"], services.Select(s => s.Name));
        Assert.Equal(2, services[0].Instances.Length);
    }

    [Theory]
    [InlineData("shop@containers")]
    [InlineData("shop\n} 1")]
    [InlineData("")]
    [InlineData(129)]
    public void What_Compose_would_not_have_written_is_no_name(object label)
    {
        var labels = new Dictionary<string, string?> { ["com.docker.compose.service"] = label as string ?? new string('a', (int)label) };
        Assert.Equal("web", Assert.Single(PlainModel.Services([Container("running", "Up") with { Names = ["/web"], Labels = labels }])).Name);
    }

    [Fact]
    public void A_key_that_differs_between_containers_is_named_but_not_told()
    {
        ContainerModel With(string id, string key) => Container("running", "Up") with
        {
            Id = id, Names = ["/web"],
            Labels = new() { ["millau.enabled"] = "true", ["millau.port"] = "80", ["millau.key"] = key },
        };

        var notice = Assert.Single(PlainModel.Services([With("a", "SECRET-1"), With("b", "SECRET-2")])).Notice;

        Assert.Contains("millau.key", notice, StringComparison.Ordinal);
        Assert.DoesNotContain("SECRET", notice, StringComparison.Ordinal);
    }

    [Fact]
    public void The_newest_running_container_decides_on_labels_and_the_others_are_named()
    {
        ContainerModel With(string id, long created, string port, string state = "running") =>
            Container(state, "Up") with
            {
                Id = id, Names = ["/web-" + id], Created = created,
                Labels = new() { ["com.docker.compose.service"] = "web", ["millau.port"] = port },
            };

        var service = Assert.Single(PlainModel.Services([With("a", 1, "80"), With("b", 3, "90"), With("c", 2, "90")]));
        Assert.Equal("90", Assert.Single(service.Labels).Value);
        Assert.Contains("web-a differ from those of the newest container web-b", service.Notice, StringComparison.Ordinal);
        Assert.Contains("millau.port=\"80\" there, \"90\" here", service.Notice, StringComparison.Ordinal);
        // One that was replaced has no say.
        Assert.Empty(Assert.Single(PlainModel.Services([With("a", 1, "80", "exited"), With("b", 3, "90")])).Notice);
    }

    [Theory]
    [InlineData("15", 15)]
    [InlineData("SIGTERM", 15)]
    [InlineData("winch", 28)]
    [InlineData("SIGRTMIN+3", 37)]
    [InlineData("", 0)]
    [InlineData("NONSENSE", 0)]
    public void Signals_have_names_and_numbers(string text, int number) => Assert.Equal(number, StopSignals.Parse(text));

    [Fact]
    public void The_own_container_is_found_by_its_host_name_file()
    {
        var id = new string('a', 62) + "07";
        Assert.Equal(id, OwnContainer.FindId(
        [
            "1440 1417 0:31 / / rw - overlay overlay rw",
            $"1450 1440 254:1 /var/lib/docker/containers/{id}/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda1 rw",
            $"1451 1440 254:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw",
        ]));
        Assert.Null(OwnContainer.FindId(["1 2 254:1 /etc/hostname /etc/hostname rw - ext4 /dev/vda1 rw", "", "x"]));
    }

    private static System.Collections.Immutable.ImmutableArray<FoundInstance> Instances(string desired, string state) =>
        SwarmModel.Instances(Read<ServiceModel>(Service), [TaskIn(desired, state)], false, _ => []);

    private static TaskModel TaskIn(string desired, string state, string error = "") =>
        Read<TaskModel>(Task) with { DesiredState = desired, Status = new TaskStatusModel(state, error, null) };

    private static ContainerModel Container(string state, string status) => Read<ContainerModel>($$"""
        {"Id":"abc","Names":["/web"],"Image":"nginx","Created":1760000000,"Ports":[],"Labels":{},"State":"{{state}}","Status":"{{status}}",
         "HostConfig":{"NetworkMode":"default"},"NetworkSettings":{"Networks":{"bridge":{"IPAMConfig":null,"NetworkID":"br0",
          "IPAddress":"172.17.0.2","IPPrefixLen":16,"GlobalIPv6Address":"","MacAddress":"02:42:ac:11:00:02"} } },"Mounts":[]}
        """);

    private static T Read<T>(string json) => (T)JsonSerializer.Deserialize(json, typeof(T), TestJson.Default)!;
}

[System.Text.Json.Serialization.JsonSerializable(typeof(ServiceModel))]
[System.Text.Json.Serialization.JsonSerializable(typeof(TaskModel))]
[System.Text.Json.Serialization.JsonSerializable(typeof(ContainerModel))]
internal sealed partial class TestJson : System.Text.Json.Serialization.JsonSerializerContext;
