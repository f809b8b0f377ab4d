using System.Diagnostics;

namespace Millau.Forwarding;

/// <summary>
/// The W3C trace context that goes to an instance while requests are traced. It has the same length whatever it says, so it
/// is written with the head once, and each attempt puts its own span's id in its place.
/// </summary>
internal static class TraceContext
{
    private static ReadOnlySpan<byte> Prefix => "traceparent: 00-"u8;

    /// <summary>The client's own fields of this kind are replaced.</summary>
    public static bool Replaces(ReadOnlySpan<char> name) =>
        name.Equals("traceparent", StringComparison.OrdinalIgnoreCase) || name.Equals("tracestate", StringComparison.OrdinalIgnoreCase);

    /// <summary>Writes the fields, with the request's own span for now.</summary>
    public static void Write(RequestContext context, Activity server)
    {
        var writer = context.Writer;
        context.TraceParentAt = writer.Length + Prefix.Length;
        writer.Raw(Prefix);
        Span<byte> value = stackalloc byte[ValueLength];
        Format(value, server);
        writer.Raw(value);
        writer.Raw("\r\n"u8);
        if (server.TraceStateString is { Length: > 0 } state) writer.Field("tracestate: "u8, state);
    }

    /// <summary>From here on the head names this span as the parent.</summary>
    public static void SetParent(RequestContext context, Activity span)
    {
        Span<byte> value = stackalloc byte[ValueLength];
        Format(value, span);
        context.Writer.Overwrite(context.TraceParentAt, value);
    }

    // trace-id "-" parent-id "-" flags
    private const int ValueLength = 32 + 1 + 16 + 1 + 2;

    private static void Format(Span<byte> value, Activity span)
    {
        Encode(span.TraceId.ToHexString(), value);
        value[32] = (byte)'-';
        Encode(span.SpanId.ToHexString(), value[33..]);
        (span.Recorded ? "-01"u8 : "-00"u8).CopyTo(value[49..]);
    }

    private static void Encode(string hex, Span<byte> value) => System.Text.Encoding.ASCII.GetBytes(hex, value);
}
