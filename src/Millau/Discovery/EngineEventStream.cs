using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;

namespace Millau.Discovery;

/// <summary>The open answer to <c>GET /events</c>: one JSON object a line. Owned by one reader.</summary>
internal sealed class EngineEventStream(HttpResponseMessage response, Stream body) : IDisposable
{
    /// <summary>Container events carry all labels of the container, and a label may hold a certificate chain.</summary>
    private const int LongestLine = 4 * 1024 * 1024;

    private readonly PipeReader _reader = PipeReader.Create(body);

    /// <summary>The next event; a fault when the stream ended. Lines that are not understood are passed over.</summary>
    public async Task<EngineAnswer<EventModel>> ReadAsync(CancellationToken cancellation)
    {
        try
        {
            while (true)
            {
                var result = await _reader.ReadAsync(cancellation);
                // Off the traffic's loop before the parsing.
                await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
                var buffer = result.Buffer;
                if (buffer.PositionOf((byte)'\n') is { } end)
                {
                    var parsed = Parse(buffer.Slice(0, end));
                    _reader.AdvanceTo(buffer.GetPosition(1, end));
                    if (parsed is not null)
                        return parsed;
                    continue;
                }

                var length = buffer.Length;
                _reader.AdvanceTo(buffer.Start, buffer.End);
                if (result.IsCompleted)
                    return new EngineFault(EngineFaultKind.Unreachable, "/events", "the stream ended");
                if (length > LongestLine)
                    return new EngineFault(EngineFaultKind.BadBody, "/events", "a line without end");
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException or ObjectDisposedException
                                  || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return new EngineFault(EngineFaultKind.Unreachable, "/events",
                LogText.Clean($"the stream broke ({e.GetBaseException().Message})"));
        }
    }

    public void Dispose()
    {
        response.Dispose();
        body.Dispose();
    }

    private static EventModel? Parse(ReadOnlySequence<byte> line)
    {
        try
        {
            var reader = new Utf8JsonReader(line);
            return JsonSerializer.Deserialize(ref reader, EngineJson.Default.EventModel);
        }
        catch (JsonException)
        {
            // The lists are re-read anyway, so a lost event costs time, never a route.
            return null;
        }
    }
}
