using System.Buffers.Binary;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using OpenTelemetry.Exporter;

namespace Millau.Tests.Wire;

/// <summary>A collector of traces: takes OTLP over HTTP, in protobuf, and reads of it what the tests ask for.</summary>
internal sealed class TraceCollector : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly List<Span> _spans = [];
    private readonly ScriptedInstance _server;

    public TraceCollector() => _server = new ScriptedInstance(ServeAsync);

    /// <param name="Kind">2 is a server's, 3 a client's.</param>
    /// <param name="IsError">By its status.</param>
    internal sealed record Span(
        string TraceId, string Id, string ParentId, string Name, int Kind, bool IsError,
        Dictionary<string, string> Attributes, Dictionary<string, string> Resource);

    public OtlpExporterOptions Options => new()
    {
        Protocol = OtlpExportProtocol.HttpProtobuf,
        Endpoint = new Uri($"http://{_server.EndPoint}/v1/traces"),
    };

    public Span[] Spans
    {
        get
        {
            lock (_lock) return [.. _spans];
        }
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task ServeAsync(ScriptedConnection connection)
    {
        while (await connection.ReadHeadAsync() is { Length: > 0 } head)
        {
            Assert.StartsWith("POST /v1/traces HTTP/1.1\r\n", head);
            var length = int.Parse(Regex.Match(head, "(?i)\r\ncontent-length: (\\d+)\r\n").Groups[1].Value);
            Read(Encoding.Latin1.GetBytes(await connection.ReadAsync(length)));
            await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n");
        }
    }

    // ExportTraceServiceRequest: resource_spans = 1 { resource = 1 { attributes = 1 }, scope_spans = 2 { spans = 2 } }
    private void Read(byte[] request)
    {
        foreach (var resourceSpans in Messages(request, 1))
        {
            var resource = Messages(resourceSpans, 1).SelectMany(r => Messages(r, 1)).Select(Attribute).ToDictionary();
            foreach (var span in Messages(resourceSpans, 2).SelectMany(scope => Messages(scope, 2)))
            {
                var status = Messages(span, 15).FirstOrDefault();
                lock (_lock)
                    _spans.Add(new Span(
                        Hex(span, 1), Hex(span, 2), Hex(span, 4), Text(span, 5), (int)Number(span, 6), status is not null && Number(status, 3) == 2,
                        Messages(span, 9).Select(Attribute).ToDictionary(), resource));
            }
        }
    }

    private static (string, string) Attribute(byte[] keyValue)
    {
        var value = Messages(keyValue, 2).Single();
        var text = Messages(value, 1).FirstOrDefault();
        return (Text(keyValue, 1), text is null ? $"{Number(value, 3)}" : Encoding.UTF8.GetString(text));
    }

    private static string Hex(byte[] message, int field) =>
        Messages(message, field).FirstOrDefault() is { } bytes ? Convert.ToHexStringLower(bytes) : "";

    private static string Text(byte[] message, int field) => Encoding.UTF8.GetString(Messages(message, field).Single());

    private static IEnumerable<byte[]> Messages(byte[] message, int field) =>
        Fields(message).Where(f => f.Field == field && f.Bytes is not null).Select(f => f.Bytes!);

    private static long Number(byte[] message, int field) => Fields(message).FirstOrDefault(f => f.Field == field && f.Bytes is null).Number;

    private static List<(int Field, long Number, byte[]? Bytes)> Fields(byte[] message)
    {
        var fields = new List<(int, long, byte[]?)>();
        for (var at = 0; at < message.Length;)
        {
            var tag = Varint(message, ref at);
            var field = (int)(tag >> 3);
            switch (tag & 7)
            {
                case 0:
                    fields.Add((field, Varint(message, ref at), null));
                    break;
                case 1:
                    fields.Add((field, BinaryPrimitives.ReadInt64LittleEndian(message.AsSpan(at)), null));
                    at += 8;
                    break;
                case 2:
                    var length = (int)Varint(message, ref at);
                    fields.Add((field, 0, message[at..(at + length)]));
                    at += length;
                    break;
                case 5:
                    fields.Add((field, BinaryPrimitives.ReadInt32LittleEndian(message.AsSpan(at)), null));
                    at += 4;
                    break;
                default:
                    throw new InvalidDataException($"wire type {tag & 7}");
            }
        }
        return fields;
    }

    private static long Varint(byte[] message, ref int at)
    {
        var value = 0L;
        for (var shift = 0; ; shift += 7)
        {
            var b = message[at++];
            value |= (long)(b & 0x7f) << shift;
            if (b < 0x80) return value;
        }
    }
}
