using System.Text.Json.Nodes;

namespace Millau.Demo;

/// <summary>A Swarm service as the stand-in holds it. Change it within <see cref="EngineStandIn.Change"/> only.</summary>
internal sealed class StandInService(string id, string name)
{
    public string Id { get; } = id;
    public string Name { get; } = name;
    public ulong Version { get; set; } = 1;

    /// <summary><c>deploy.labels</c>.</summary>
    public Dictionary<string, string> Labels { get; init; } = [];

    public Dictionary<string, string> ContainerLabels { get; init; } = [];

    /// <summary>Null for global mode.</summary>
    public int? Replicas { get; set; } = 1;

    /// <summary>Published ports, as <c>ingress</c> or <c>host</c>.</summary>
    public List<(int Target, int Published, string Mode)> Ports { get; } = [];

    /// <summary>Such as <c>updating</c>; null when there was no update.</summary>
    public string? UpdateState { get; set; }

    public JsonObject ToJson() => new()
    {
        ["ID"] = Id,
        ["Version"] = new JsonObject { ["Index"] = Version },
        ["Spec"] = new JsonObject
        {
            ["Name"] = Name,
            ["Labels"] = StandInJson.Map(Labels),
            ["TaskTemplate"] = new JsonObject
            {
                ["ContainerSpec"] = new JsonObject { ["Image"] = "demo", ["Labels"] = StandInJson.Map(ContainerLabels) },
                ["ForceUpdate"] = 0,
            },
            ["Mode"] = Replicas is { } replicas
                ? new JsonObject { ["Replicated"] = new JsonObject { ["Replicas"] = replicas } }
                : new JsonObject { ["Global"] = new JsonObject() },
        },
        ["UpdateStatus"] = UpdateState is null ? null : new JsonObject { ["State"] = UpdateState },
        ["Endpoint"] = new JsonObject
        {
            ["Ports"] = new JsonArray([.. Ports.Select(p => (JsonNode)new JsonObject
            {
                ["Protocol"] = "tcp",
                ["TargetPort"] = p.Target,
                ["PublishedPort"] = p.Published,
                ["PublishMode"] = p.Mode,
            })]),
        },
    };
}

/// <summary>A task as the stand-in holds it.</summary>
internal sealed class StandInTask(string id, StandInService service)
{
    public string Id { get; } = id;
    public StandInService Service { get; } = service;
    public int Slot { get; set; } = 1;
    public string NodeId { get; set; } = EngineStandIn.NodeId;
    public string DesiredState { get; set; } = "running";
    public string State { get; set; } = "running";
    public string Error { get; set; } = "";

    /// <summary>Empty before the container is created.</summary>
    public string ContainerId { get; set; } = "";

    /// <summary>Addresses such as <c>127.0.0.2/8</c>, by network.</summary>
    public List<(StandInNetwork Network, string Address)> Attachments { get; } = [];

    public JsonObject ToJson() => new()
    {
        ["ID"] = Id,
        ["ServiceID"] = Service.Id,
        ["Slot"] = Slot,
        ["NodeID"] = NodeId,
        ["DesiredState"] = DesiredState,
        ["Status"] = new JsonObject
        {
            ["State"] = State,
            ["Err"] = Error.Length > 0 ? Error : null,
            ["ContainerStatus"] = ContainerId.Length > 0 ? new JsonObject { ["ContainerID"] = ContainerId } : null,
        },
        ["NetworksAttachments"] = Attachments.Count == 0 ? null : new JsonArray([.. Attachments.Select(a => (JsonNode)
            new JsonObject
            {
                ["Network"] = new JsonObject
                {
                    ["ID"] = a.Network.Id,
                    ["Spec"] = new JsonObject { ["Name"] = a.Network.Name, ["Ingress"] = a.Network.IsIngress },
                },
                ["Addresses"] = new JsonArray(a.Address),
            })]),
    };
}

/// <summary>A container as the stand-in holds it; those of its tasks are listed by themselves.</summary>
internal sealed class StandInContainer(string id, string name)
{
    public string Id { get; } = id;
    public string Name { get; } = name;
    public Dictionary<string, string> Labels { get; init; } = [];
    public string State { get; set; } = "running";

    /// <summary><c>healthy</c>, <c>unhealthy</c>, <c>starting</c>, or empty without a health check.</summary>
    public string Health { get; set; } = "";

    public string NetworkMode { get; init; } = "default";
    public string StopSignal { get; init; } = "";

    /// <summary>TCP ports that its image exposes.</summary>
    public int[] Ports { get; init; } = [];
    public long Created { get; init; }
    public List<(StandInNetwork Network, string Address)> Attachments { get; } = [];

    public JsonObject ToJson() => new()
    {
        ["Id"] = Id,
        ["Names"] = new JsonArray("/" + Name),
        ["Labels"] = StandInJson.Map(Labels),
        ["State"] = State,
        ["Status"] = (State == "running" ? "Up 2 seconds" : "Exited (0) 2 seconds ago") + Health switch
        {
            "" => "",
            "starting" => " (health: starting)",
            var health => $" ({health})",
        },
        ["Created"] = Created,
        ["Ports"] = new JsonArray([.. Ports.Select(p => (JsonNode)new JsonObject { ["PrivatePort"] = p, ["Type"] = "tcp" })]),
        ["HostConfig"] = new JsonObject { ["NetworkMode"] = NetworkMode },
        ["NetworkSettings"] = Networks(),
    };

    public JsonObject ToDetailJson() => new()
    {
        ["Id"] = Id,
        ["Name"] = "/" + Name,
        ["Config"] = new JsonObject
        {
            ["StopSignal"] = StopSignal.Length > 0 ? StopSignal : null,
            ["Labels"] = StandInJson.Map(Labels),
        },
        ["HostConfig"] = new JsonObject { ["NetworkMode"] = NetworkMode },
        ["NetworkSettings"] = Networks(),
    };

    private JsonObject Networks() => new()
    {
        ["Networks"] = new JsonObject(Attachments.Select(a => KeyValuePair.Create<string, JsonNode?>(a.Network.Name,
            new JsonObject
            {
                ["NetworkID"] = a.Network.Id,
                ["IPAddress"] = State == "running" && !a.Address.Contains(':') ? a.Address : "",
                ["GlobalIPv6Address"] = State == "running" && a.Address.Contains(':') ? a.Address : "",
            }))),
    };
}

/// <summary>A network as the stand-in holds it.</summary>
internal sealed record StandInNetwork(string Id, string Name, string Driver = "bridge", bool IsIngress = false)
{
    public JsonObject ToJson() => new()
    {
        ["Id"] = Id,
        ["Name"] = Name,
        ["Driver"] = Driver,
        ["Scope"] = Driver == "bridge" ? "local" : "swarm",
        ["Ingress"] = IsIngress,
    };
}

internal static class StandInJson
{
    public static JsonObject Map(IReadOnlyDictionary<string, string> map) =>
        new(map.Select(entry => KeyValuePair.Create<string, JsonNode?>(entry.Key, entry.Value)));
}
