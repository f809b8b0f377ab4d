using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Millau.Forwarding;
using Millau.Http1;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Millau.Telemetry.Tracing;

/// <summary>
/// A server span for each request and a client span for each attempt, by the semantic conventions of OpenTelemetry for HTTP,
/// sent by OTLP. There is one only if it is switched on: even a request that is not sampled costs half a kilobyte.
/// </summary>
internal sealed class RequestTracing : IRequestObserver, IDisposable
{
    private const int ShutdownMilliseconds = 2000;

    private readonly ActivitySource _source = new("Millau", Product.Version);
    private readonly TracerProvider _provider;

    /// <param name="options">Where spans go. What it does not say, the variables of OpenTelemetry do: sampler, resource, batches.</param>
    /// <param name="logger">Told when spans cannot be delivered, and when they can again.</param>
    /// <exception cref="ArgumentException">A variable of OpenTelemetry has a value that it does not understand.</exception>
    public RequestTracing(OtlpExporterOptions options, ILogger logger)
    {
        var batches = new BatchExportActivityProcessorOptions();
        _provider = Sdk.CreateTracerProviderBuilder()
            .AddSource(_source.Name)
            // Variables that name the service otherwise win over this.
            .SetResourceBuilder(ResourceBuilder.CreateEmpty()
                .AddService("millau", serviceVersion: Product.Version, autoGenerateServiceInstanceId: false)
                .AddAttributes([new("host.name", Environment.MachineName)])
                .AddTelemetrySdk().AddEnvironmentVariableDetector())
            .AddProcessor(new BatchActivityExportProcessor(
                new WatchedExporter(options, logger), batches.MaxQueueSize, batches.ScheduledDelayMilliseconds,
                batches.ExporterTimeoutMilliseconds, batches.MaxExportBatchSize))
            .Build();
    }

    public void RequestStarted(RequestContext context)
    {
        var fields = context.Exchange.Fields;
        // What is no valid context begins a new trace; its state goes with it (W3C Trace Context section 3.2).
        if (fields.CountOf(FieldName.TraceParent) != 1
            || !ActivityContext.TryParse(fields.Text(FieldName.TraceParent), fields.Joined(FieldName.TraceState), isRemote: true, out var parent))
            parent = default;
        var request = context.Exchange;
        var method = SpanAttributes.Method(request.Method);
        // Samplers see these.
        var span = _source.CreateActivity(SpanAttributes.SpanName(method), ActivityKind.Server, parent);
        context.ServerSpan = Start(span);
        if (span is not { IsAllDataRequested: true }) return;
        SpanAttributes.SetMethod(span, request.Method, method);
        span.SetTag("url.scheme", request.Scheme);
        span.SetTag("client.address", context.ClientAddress);
        span.SetTag("network.protocol.version", SpanAttributes.Version(request.Protocol));
        if (fields.Text(FieldName.UserAgent) is { } agent) span.SetTag("user_agent.original", agent);
    }

    public void AttemptStarted(RequestContext context)
    {
        var server = context.ServerSpan;
        if (server is null) return;
        var outcome = context.Outcome;
        var method = SpanAttributes.Method(context.Exchange.Method);
        var span = Start(_source.CreateActivity(SpanAttributes.SpanName(method), ActivityKind.Client, server.Context));
        context.ClientSpan = span;
        if (span is not { IsAllDataRequested: true }) return;
        var instance = outcome.Instance!;
        var address = instance.EndPoint.Address.ToString();
        SpanAttributes.SetMethod(span, context.Exchange.Method, method);
        span.SetTag("url.full", $"{SpanAttributes.Scheme(instance)}://{instance.EndPoint}{context.Target.Sent.Span}");
        span.SetTag("server.address", address);
        span.SetTag("server.port", instance.EndPoint.Port);
        span.SetTag("network.protocol.version", "1.1");
        span.SetTag("millau.service", instance.Service.Name);
        span.SetTag("millau.instance", instance.Name);
        if (outcome.Attempts > 1) span.SetTag("http.request.resend_count", outcome.Attempts - 1);
    }

    public void AttemptAnswered(RequestContext context)
    {
        if (context.ClientSpan is not { IsAllDataRequested: true } span) return;
        SpanAttributes.SetStatus(span, context.Outcome.InstanceStatus, isErrorFrom: 400);
    }

    public void AttemptEnded(RequestContext context, AttemptFailure failure)
    {
        var span = context.ClientSpan;
        if (span is null) return;
        context.ClientSpan = null;
        var outcome = context.Outcome;
        if (span.IsAllDataRequested)
        {
            if (outcome.IsCut) SpanAttributes.SetError(span, "cut");
            else if (outcome.ClientGone || context.ClientGone) SpanAttributes.SetError(span, "client_gone");
            else if (failure != AttemptFailure.None) SpanAttributes.SetError(span, SpanAttributes.ErrorType(failure));
        }
        Stop(span);
    }

    public void RequestEnded(RequestContext context)
    {
        var span = context.ServerSpan;
        if (span is null) return;
        context.ServerSpan = null;
        if (span.IsAllDataRequested) Complete(span, context);
        Stop(span);
    }

    /// <summary>Sends what is there, and waits for it.</summary>
    public void Flush(TimeSpan patience) => _provider.ForceFlush((int)patience.TotalMilliseconds);

    /// <summary>Sends what is left, for 2 s at most.</summary>
    public void Dispose()
    {
        _provider.Shutdown(ShutdownMilliseconds);
        _provider.Dispose();
        _source.Dispose();
    }

    // What is known only once the request was read and matched.
    private static void Complete(Activity span, RequestContext context)
    {
        var outcome = context.Outcome;
        var sent = context.Target.Sent.Span;
        var mark = sent.IndexOf('?');
        span.SetTag("url.path", (mark < 0 ? sent : sent[..mark]).ToString());
        if (mark >= 0) span.SetTag("url.query", sent[(mark + 1)..].ToString());
        SpanAttributes.SetServer(span, context.Host);
        if (outcome.Route is { } route)
        {
            span.SetTag("http.route", route);
            span.DisplayName = $"{span.DisplayName} {route}";
        }
        if (outcome.Service is { } service) span.SetTag("millau.service", service.Name);
        if (outcome.Status != 0) SpanAttributes.SetStatus(span, outcome.Status, isErrorFrom: 500);
        if (outcome.IsCut) SpanAttributes.SetError(span, "cut");
        else if (outcome.ClientGone) SpanAttributes.SetError(span, "client_gone");
        else if (!outcome.IsAnswered && outcome.LastFailure != AttemptFailure.None)
            SpanAttributes.SetError(span, SpanAttributes.ErrorType(outcome.LastFailure));
    }

    // Spans are kept with their request. As the current one of a thread they would be found by the next request there.
    private static Activity? Start(Activity? span)
    {
        if (span is null) return null;
        var before = Activity.Current;
        span.Start();
        Activity.Current = before;
        return span;
    }

    private static void Stop(Activity span)
    {
        var before = Activity.Current;
        span.Stop();
        Activity.Current = before;
    }
}
