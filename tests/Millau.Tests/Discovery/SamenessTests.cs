using System.Text.Json;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class SamenessTests
{
    private const string Service = """
        {"ID":"s","Version":{"Index":7},"Spec":{"Name":"app","Labels":{"a":"1","b":null},
        "TaskTemplate":{"ContainerSpec":{"Labels":{"c":"3"}}},"Mode":{"Replicated":{"Replicas":2}}},
        "UpdateStatus":{"State":"completed"},"Endpoint":{"Ports":[{"Protocol":"tcp","TargetPort":80,"PublishedPort":8080,"PublishMode":"host"}]}}
        """;

    private const string Task = """
        {"ID":"t","ServiceID":"s","Slot":1,"NodeID":"n","DesiredState":"running",
        "Status":{"Timestamp":"2020-01-01T00:00:00Z","State":"running","Err":"","ContainerStatus":{"ContainerID":"c"}},
        "NetworksAttachments":[{"Network":{"ID":"net","Spec":{"Name":"millau","Ingress":false}},"Addresses":["10.0.0.9/24"]}]}
        """;

    [Theory]
    [InlineData("\"s\"", "\"s2\"")]
    [InlineData("7", "8")]
    [InlineData("app", "app2")]
    [InlineData("\"1\"", "\"2\"")]
    [InlineData("null", "\"\"")]
    [InlineData("\"b\"", "\"x\"")]
    [InlineData("\"b\":null", "\"b\":null,\"more\":\"1\"")]
    [InlineData("\"3\"", "\"4\"")]
    [InlineData("\"Replicas\":2", "\"Replicas\":3")]
    [InlineData("completed", "updating")]
    [InlineData("8080", "8081")]
    [InlineData("host", "ingress")]
    public void A_service_of_which_anything_that_counts_differs_is_not_the_same(string what, string instead)
    {
        Assert.True(Sameness.Of(Read(Service), Read(Service)));
        Assert.False(Sameness.Of(Read(Service), Read(Service.Replace(what, instead, StringComparison.Ordinal))));

        static ServiceModel Read(string json) => JsonSerializer.Deserialize(json, EngineJson.Default.ServiceModel)!;
    }

    [Theory]
    [InlineData("\"t\"", "\"t2\"")]
    [InlineData("\"s\"", "\"s2\"")]
    [InlineData("\"Slot\":1", "\"Slot\":2")]
    [InlineData("\"n\"", "\"n2\"")]
    [InlineData("\"DesiredState\":\"running\"", "\"DesiredState\":\"shutdown\"")]
    [InlineData("\"State\":\"running\"", "\"State\":\"failed\"")]
    [InlineData("00:00:00Z", "00:00:01Z")]
    [InlineData("\"Err\":\"\"", "\"Err\":\"x\"")]
    [InlineData("\"c\"", "\"c2\"")]
    [InlineData("\"net\"", "\"net2\"")]
    [InlineData("millau", "other")]
    [InlineData("false", "true")]
    [InlineData("10.0.0.9/24", "10.0.0.8/24")]
    [InlineData("\"10.0.0.9/24\"", "\"10.0.0.9/24\",\"10.0.0.10/24\"")]
    public void A_task_of_which_anything_that_counts_differs_is_not_the_same(string what, string instead)
    {
        Assert.True(Sameness.Of([Read(Task)], [Read(Task)]));
        Assert.False(Sameness.Of([Read(Task)], [Read(Task.Replace(what, instead, StringComparison.Ordinal))]));
        Assert.False(Sameness.Of([Read(Task)], []));

        static TaskModel Read(string json) => JsonSerializer.Deserialize(json, EngineJson.Default.TaskModel)!;
    }
}
