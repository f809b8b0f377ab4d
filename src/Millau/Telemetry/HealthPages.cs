using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;

namespace Millau.Telemetry;

/// <summary>Health on the telemetry port: in one word, and as JSON that says why and since when.</summary>
internal static class HealthPages
{
    private static readonly TelemetryAnswer Up = TelemetryAnswer.Text(StatusCodes.Status200OK, "up");
    private static readonly TelemetryAnswer Down = TelemetryAnswer.Text(StatusCodes.Status503ServiceUnavailable, "down");

    /// <summary><c>/</c>: <c>up</c> with 200 or <c>down</c> with 503.</summary>
    public static TelemetryPage Word(Health health) => _ => new(health.Current.IsUp ? Up : Down);

    /// <summary><c>/health</c>: the same status code, with the reasons.</summary>
    public static TelemetryPage Json(Health health) => _ =>
    {
        var current = health.Current;
        return new(TelemetryAnswer.Json(
            current.IsUp ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable,
            JsonSerializer.SerializeToUtf8Bytes(HealthAnswer.Of(current), HealthJson.Default.HealthAnswer)));
    };
}

/// <summary>The JSON of <c>/health</c>; its names are a contract.</summary>
/// <param name="Status"><c>up</c> or <c>down</c>.</param>
/// <param name="Since">When it became so.</param>
/// <param name="Reasons">What is down; empty if up.</param>
internal sealed record HealthAnswer(string Status, DateTimeOffset Since, ImmutableArray<HealthReason> Reasons)
{
    public static HealthAnswer Of(HealthState state) =>
        new(state.IsUp ? "up" : "down", state.Since, [.. state.Down.Values]);
}

[JsonSerializable(typeof(HealthAnswer))]
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Serialization, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
internal sealed partial class HealthJson : JsonSerializerContext;
