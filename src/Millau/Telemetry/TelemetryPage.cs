using System.Collections.Immutable;
using System.Text;

namespace Millau.Telemetry;

/// <summary>What one path of the telemetry port answers to GET; asked anew for each request, on any thread.</summary>
internal delegate ValueTask<TelemetryAnswer> TelemetryPage(TelemetryRequest request);

/// <summary>What a page is told of its request.</summary>
/// <param name="QueryString">As sent, with its leading <c>?</c>; empty if there is none.</param>
/// <param name="IfNoneMatch">What the client knows already; null for nothing.</param>
internal readonly record struct TelemetryRequest(string QueryString, string? IfNoneMatch);

/// <summary>A whole answer. Never stored by a browser or a cache, whatever it is.</summary>
/// <param name="Status">The status code.</param>
/// <param name="ContentType">The media type of the body.</param>
/// <param name="Body">Not changed any more.</param>
internal sealed record TelemetryAnswer(int Status, string ContentType, ReadOnlyMemory<byte> Body)
{
    public const string PlainText = "text/plain; charset=utf-8";
    public const string JsonText = "application/json";

    /// <summary>Fields besides those that every answer has.</summary>
    public ImmutableArray<(string Name, string Value)> Fields { get; init; } = [];

    public static TelemetryAnswer Text(int status, string text) => new(status, PlainText, Encoding.UTF8.GetBytes(text));

    public static TelemetryAnswer Json(int status, ReadOnlyMemory<byte> body) => new(status, JsonText, body);
}
