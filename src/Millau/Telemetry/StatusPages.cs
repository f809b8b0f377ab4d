using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;

namespace Millau.Telemetry;

/// <summary><c>/status</c>: everything that is known, as JSON; with <c>host</c> or <c>path</c>, what would become of a request.</summary>
internal static class StatusPages
{
    // What a request line may hold here, so that the answer to a question is as bounded as the question.
    private const int LongestInput = 4096;

    public static TelemetryPage Json(StatusReporter status)
    {
        var tags = new KeyedHash();
        return request =>
        {
            var query = QueryHelpers.ParseQuery(request.QueryString);
            return new(query.Count == 0 ? Report(status, tags, request) : Try(status, query));
        };
    }

    /// <summary>A page that asks again and again gets 304 and no body while nothing changes.</summary>
    private static TelemetryAnswer Report(StatusReporter status, KeyedHash tags, TelemetryRequest request)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(status.Report(), StatusJson.Default.StatusReport);
        var tag = $"\"{tags.Of(body):x32}\"";
        var isKnown = request.IfNoneMatch == tag;
        return TelemetryAnswer.Json(isKnown ? StatusCodes.Status304NotModified : StatusCodes.Status200OK, body) with
        {
            Fields = [("ETag", tag)],
        };
    }

    private static TelemetryAnswer Try(StatusReporter status, Dictionary<string, StringValues> query)
    {
        foreach (var (name, values) in query)
        {
            if (name is not ("host" or "path" or "method" or "scheme" or "certificate"))
                return Bad($"unknown parameter; allowed: host, path, method, scheme, certificate");
            if (values.Count > 1 || values[0]!.Length > LongestInput)
                return Bad($"{name}: once, and up to {LongestInput} characters");
        }

        var scheme = Value("scheme", "http");
        if (scheme is not ("http" or "https"))
            return Bad("scheme: http or https");
        var certificate = Value("certificate", "none");
        if (certificate is not ("none" or "valid"))
            return Bad("certificate: none or valid");
        var report = status.Try(new TrialRequest(
            Value("method", "GET").ToUpperInvariant(), scheme, Value("host", ""), Value("path", "/"), certificate == "valid"));
        return TelemetryAnswer.Json(
            StatusCodes.Status200OK, JsonSerializer.SerializeToUtf8Bytes(report, StatusJson.Default.TrialReport));

        string Value(string name, string otherwise) =>
            query.GetValueOrDefault(name) is { Count: 1 } value && value[0]!.Trim() is { Length: > 0 } text ? text : otherwise;
    }

    private static TelemetryAnswer Bad(string text) =>
        TelemetryAnswer.Text(StatusCodes.Status400BadRequest, $"bad request: {text}\n");
}
