using System.Diagnostics;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Exporter;

namespace Millau.Telemetry.Tracing;

/// <summary>
/// Says once when spans cannot be delivered, and when they can again. Called by the thread that sends batches; requests only
/// put their spans in its queue, which drops what it has no room for.
/// </summary>
internal sealed class WatchedExporter(OtlpExporterOptions options, ILogger logger) : OtlpTraceExporter(options)
{
    private readonly string _endpoint = options.Endpoint.ToString();
    private bool _fails;

    public override ExportResult Export(in Batch<Activity> activityBatch)
    {
        var result = base.Export(activityBatch);
        var fails = result != ExportResult.Success;
        if (fails && !_fails) Log.TracesNotDelivered(logger, _endpoint);
        if (!fails && _fails) Log.TracesDeliveredAgain(logger, _endpoint);
        _fails = fails;
        return result;
    }
}
