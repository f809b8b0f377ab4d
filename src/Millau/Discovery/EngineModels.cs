using System.Text.Json.Serialization;

namespace Millau.Discovery;

// Only what is used of the Engine's answers, named as in its API. All is nullable: Go leaves empty values out or writes
// null, and a filtering proxy may blank some.

/// <summary>One of <c>GET /services</c>.</summary>
internal sealed record ServiceModel(
    [property: JsonPropertyName("ID")] string? Id,
    VersionModel? Version,
    ServiceSpecModel? Spec,
    UpdateStatusModel? UpdateStatus,
    EndpointModel? Endpoint);

internal sealed record EndpointModel(List<PortConfigModel?>? Ports);

internal sealed record PortConfigModel(string? Protocol, int TargetPort, int PublishedPort, string? PublishMode);

internal sealed record VersionModel(ulong Index);

internal sealed record ServiceSpecModel(
    string? Name,
    Dictionary<string, string?>? Labels,
    TaskTemplateModel? TaskTemplate,
    ServiceModeModel? Mode);

internal sealed record TaskTemplateModel(ContainerSpecModel? ContainerSpec);

internal sealed record ContainerSpecModel(Dictionary<string, string?>? Labels);

internal sealed record ServiceModeModel(ReplicatedModel? Replicated);

internal sealed record ReplicatedModel(ulong? Replicas);

internal sealed record UpdateStatusModel(string? State);

/// <summary>One of <c>GET /tasks</c>.</summary>
internal sealed record TaskModel(
    [property: JsonPropertyName("ID")] string? Id,
    [property: JsonPropertyName("ServiceID")] string? ServiceId,
    int Slot,
    [property: JsonPropertyName("NodeID")] string? NodeId,
    string? DesiredState,
    TaskStatusModel? Status,
    List<NetworkAttachmentModel?>? NetworksAttachments);

internal sealed record TaskStatusModel(string? State, string? Err, ContainerStatusModel? ContainerStatus)
{
    /// <summary>Of the last change of state; RFC 3339 in UTC, so that they can be compared as text to the second.</summary>
    public string? Timestamp { get; init; }
}

internal sealed record ContainerStatusModel([property: JsonPropertyName("ContainerID")] string? ContainerId);

internal sealed record NetworkAttachmentModel(AttachedNetworkModel? Network, List<string?>? Addresses);

internal sealed record AttachedNetworkModel(
    [property: JsonPropertyName("ID")] string? Id,
    AttachedNetworkSpecModel? Spec);

internal sealed record AttachedNetworkSpecModel(string? Name, bool Ingress);

/// <summary>One of <c>GET /containers/json</c>.</summary>
internal sealed record ContainerModel(
    string? Id,
    List<string?>? Names,
    Dictionary<string, string?>? Labels,
    string? State,
    string? Status,
    long Created,
    HealthModel? Health,
    HostConfigModel? HostConfig,
    NetworkSettingsModel? NetworkSettings)
{
    public List<ContainerPortModel?>? Ports { get; init; }
}

internal sealed record ContainerPortModel(int PrivatePort, string? Type);

internal sealed record HealthModel(string? Status);

internal sealed record HostConfigModel(string? NetworkMode);

internal sealed record NetworkSettingsModel(Dictionary<string, ContainerNetworkModel?>? Networks);

internal sealed record ContainerNetworkModel(
    [property: JsonPropertyName("NetworkID")] string? NetworkId,
    [property: JsonPropertyName("IPAddress")] string? IPv4,
    [property: JsonPropertyName("GlobalIPv6Address")] string? IPv6);

/// <summary><c>GET /containers/{id}/json</c>.</summary>
internal sealed record ContainerDetailModel(
    ContainerConfigModel? Config,
    HostConfigModel? HostConfig,
    NetworkSettingsModel? NetworkSettings);

internal sealed record ContainerConfigModel(string? StopSignal)
{
    public Dictionary<string, string?>? Labels { get; init; }
}

/// <summary>One of <c>GET /networks</c>.</summary>
internal sealed record NetworkModel(string? Id, string? Name, string? Driver, string? Scope);

/// <summary>One line of <c>GET /events</c>.</summary>
internal sealed record EventModel(string? Type, string? Action, EventActorModel? Actor);

internal sealed record EventActorModel(
    [property: JsonPropertyName("ID")] string? Id,
    Dictionary<string, string?>? Attributes);

/// <summary>The body of the Engine's errors.</summary>
internal sealed record ErrorModel([property: JsonPropertyName("message")] string? Message);

[JsonSerializable(typeof(List<ServiceModel?>))]
[JsonSerializable(typeof(List<TaskModel?>))]
[JsonSerializable(typeof(List<ContainerModel?>))]
[JsonSerializable(typeof(List<NetworkModel?>))]
[JsonSerializable(typeof(ContainerDetailModel))]
[JsonSerializable(typeof(EventModel))]
[JsonSerializable(typeof(ErrorModel))]
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
internal sealed partial class EngineJson : JsonSerializerContext;
