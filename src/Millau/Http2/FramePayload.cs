using System.Buffers.Binary;

namespace Millau.Http2;

/// <summary>
/// Reads payloads with the checks that need nothing but the frame (RFC 9113 section 6): the stream it may stand on, its length, its
/// padding. Whether the stream is in a state for it is the connection's to know.
/// </summary>
/// <remarks>
/// An error ends the connection, but for those that may be the stream's alone: the length of PRIORITY, a stream that depends on itself
/// and an increment of zero on a stream.
/// </remarks>
internal static class FramePayload
{
    /// <summary>Bytes of one setting.</summary>
    public const int SettingSize = 6;

    /// <summary>Bytes of what a PING carries.</summary>
    public const int PingSize = 8;

    private const int PrioritySize = 5;

    /// <summary>DATA. Flow control counts the whole payload, not <paramref name="data"/> alone.</summary>
    public static ErrorCode Data(FrameHeader header, ReadOnlySpan<byte> payload, out ReadOnlySpan<byte> data)
    {
        data = payload;
        return header.StreamId == 0 ? ErrorCode.ProtocolError : WithoutPadding(header, ref data);
    }

    /// <summary>HEADERS. What it says of priority is of no use any more (RFC 9113 section 5.3.2), but has to fit.</summary>
    /// <param name="fragment">
    /// Of the header block; with a stream that depends on itself too, since the block has to be decoded all the same.
    /// </param>
    /// <param name="header">The frame header.</param>
    /// <param name="payload">The whole payload.</param>
    /// <param name="dependsOnItself">A stream error, ProtocolError (RFC 7540 section 5.3.1).</param>
    public static ErrorCode Headers(FrameHeader header, ReadOnlySpan<byte> payload, out ReadOnlySpan<byte> fragment, out bool dependsOnItself)
    {
        fragment = payload;
        dependsOnItself = false;
        if (header.StreamId == 0) return ErrorCode.ProtocolError;
        if (WithoutPadding(header, ref fragment) is not ErrorCode.NoError and var error) return error;
        if (!header.Has(FrameFlags.Priority)) return ErrorCode.NoError;
        if (fragment.Length < PrioritySize) return ErrorCode.FrameSizeError;
        dependsOnItself = FrameHeader.ReadStreamId(fragment) == header.StreamId;
        fragment = fragment[PrioritySize..];
        return ErrorCode.NoError;
    }

    /// <summary>CONTINUATION, whose whole payload is a fragment.</summary>
    public static ErrorCode Continuation(FrameHeader header) => header.StreamId == 0 ? ErrorCode.ProtocolError : ErrorCode.NoError;

    /// <summary>PRIORITY, which is of no use any more.</summary>
    public static ErrorCode Priority(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.StreamId == 0) return ErrorCode.ProtocolError;
        if (payload.Length != PrioritySize) return ErrorCode.FrameSizeError;
        return FrameHeader.ReadStreamId(payload) == header.StreamId ? ErrorCode.ProtocolError : ErrorCode.NoError;
    }

    /// <summary>RST_STREAM.</summary>
    /// <param name="header">The frame header.</param>
    /// <param name="payload">The whole payload.</param>
    /// <param name="reason">May be one that has no name.</param>
    public static ErrorCode RstStream(FrameHeader header, ReadOnlySpan<byte> payload, out ErrorCode reason)
    {
        reason = ErrorCode.NoError;
        if (header.StreamId == 0) return ErrorCode.ProtocolError;
        if (payload.Length != 4) return ErrorCode.FrameSizeError;
        reason = (ErrorCode)BinaryPrimitives.ReadUInt32BigEndian(payload);
        return ErrorCode.NoError;
    }

    /// <summary>SETTINGS; without Ack, the payload is for <see cref="PeerSettings.Apply"/>.</summary>
    public static ErrorCode Settings(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.StreamId != 0) return ErrorCode.ProtocolError;
        if (header.Has(FrameFlags.Ack) && !payload.IsEmpty) return ErrorCode.FrameSizeError;
        return payload.Length % SettingSize != 0 ? ErrorCode.FrameSizeError : ErrorCode.NoError;
    }

    /// <summary>PING, whose payload goes back as it is.</summary>
    public static ErrorCode Ping(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.StreamId != 0) return ErrorCode.ProtocolError;
        return payload.Length != PingSize ? ErrorCode.FrameSizeError : ErrorCode.NoError;
    }

    /// <summary>GOAWAY.</summary>
    /// <param name="header">The frame header.</param>
    /// <param name="payload">The whole payload; words for people may follow.</param>
    /// <param name="lastStreamId">The last stream of this side that the peer has taken.</param>
    /// <param name="reason">May be one that has no name.</param>
    public static ErrorCode GoAway(FrameHeader header, ReadOnlySpan<byte> payload, out int lastStreamId, out ErrorCode reason)
    {
        lastStreamId = 0;
        reason = ErrorCode.NoError;
        if (header.StreamId != 0) return ErrorCode.ProtocolError;
        if (payload.Length < 8) return ErrorCode.FrameSizeError;
        lastStreamId = FrameHeader.ReadStreamId(payload);
        reason = (ErrorCode)BinaryPrimitives.ReadUInt32BigEndian(payload[4..]);
        return ErrorCode.NoError;
    }

    /// <summary>WINDOW_UPDATE, of a stream or, on stream 0, of the connection.</summary>
    /// <param name="payload">The whole payload.</param>
    /// <param name="increment">Bytes, 1 to 2^31-1.</param>
    public static ErrorCode WindowUpdate(ReadOnlySpan<byte> payload, out int increment)
    {
        increment = 0;
        if (payload.Length != 4) return ErrorCode.FrameSizeError;
        increment = FrameHeader.ReadStreamId(payload);
        return increment == 0 ? ErrorCode.ProtocolError : ErrorCode.NoError;
    }

    // RFC 9113 section 6.1: as much padding as there is payload, or more, is a ProtocolError; no room for its length is a wrong size.
    private static ErrorCode WithoutPadding(FrameHeader header, ref ReadOnlySpan<byte> payload)
    {
        if (!header.Has(FrameFlags.Padded)) return ErrorCode.NoError;
        if (payload.IsEmpty) return ErrorCode.FrameSizeError;
        var padding = payload[0];
        if (padding >= payload.Length) return ErrorCode.ProtocolError;
        payload = payload[1..^padding];
        return ErrorCode.NoError;
    }
}
