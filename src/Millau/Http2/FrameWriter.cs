using System.Buffers.Binary;

namespace Millau.Http2;

/// <summary>Writes whole frames of the connection's own (RFC 9113 section 6); each returns the bytes it wrote.</summary>
internal static class FrameWriter
{
    /// <summary>Bytes of a SETTINGS frame that acknowledges.</summary>
    public const int SettingsAckSize = FrameHeader.Size;

    /// <summary>Bytes of a PING frame.</summary>
    public const int PingSize = FrameHeader.Size + FramePayload.PingSize;

    /// <summary>Bytes of a WINDOW_UPDATE frame.</summary>
    public const int WindowUpdateSize = FrameHeader.Size + 4;

    /// <summary>Bytes of a RST_STREAM frame.</summary>
    public const int RstStreamSize = FrameHeader.Size + 4;

    /// <summary>Bytes of a GOAWAY frame.</summary>
    public const int GoAwaySize = FrameHeader.Size + 8;

    /// <summary>Bytes of a SETTINGS frame with so many settings.</summary>
    public static int SettingsSize(int count) => FrameHeader.Size + count * FramePayload.SettingSize;

    public static int Settings(Span<byte> destination, params ReadOnlySpan<(SettingId Id, uint Value)> settings)
    {
        new FrameHeader(settings.Length * FramePayload.SettingSize, FrameType.Settings, FrameFlags.None, 0).Write(destination);
        var position = FrameHeader.Size;
        foreach (var (id, value) in settings)
        {
            BinaryPrimitives.WriteUInt16BigEndian(destination[position..], (ushort)id);
            BinaryPrimitives.WriteUInt32BigEndian(destination[(position + 2)..], value);
            position += FramePayload.SettingSize;
        }
        return position;
    }

    public static int SettingsAck(Span<byte> destination)
    {
        new FrameHeader(0, FrameType.Settings, FrameFlags.Ack, 0).Write(destination);
        return SettingsAckSize;
    }

    /// <param name="destination">Where to.</param>
    /// <param name="data">Eight bytes: those of the PING that is answered.</param>
    public static int PingAck(Span<byte> destination, ReadOnlySpan<byte> data)
    {
        new FrameHeader(FramePayload.PingSize, FrameType.Ping, FrameFlags.Ack, 0).Write(destination);
        data[..FramePayload.PingSize].CopyTo(destination[FrameHeader.Size..]);
        return PingSize;
    }

    /// <param name="destination">Where to.</param>
    /// <param name="streamId">0 for the connection.</param>
    /// <param name="increment">Bytes, 1 to 2^31-1.</param>
    public static int WindowUpdate(Span<byte> destination, int streamId, int increment)
    {
        new FrameHeader(4, FrameType.WindowUpdate, FrameFlags.None, streamId).Write(destination);
        BinaryPrimitives.WriteInt32BigEndian(destination[FrameHeader.Size..], increment);
        return WindowUpdateSize;
    }

    public static int RstStream(Span<byte> destination, int streamId, ErrorCode reason)
    {
        new FrameHeader(4, FrameType.RstStream, FrameFlags.None, streamId).Write(destination);
        BinaryPrimitives.WriteUInt32BigEndian(destination[FrameHeader.Size..], (uint)reason);
        return RstStreamSize;
    }

    /// <param name="destination">Where to.</param>
    /// <param name="lastStreamId">The last stream of the peer that was taken; 2^31-1 announces an end to come (section 6.8).</param>
    /// <param name="reason">NoError for an end in peace.</param>
    public static int GoAway(Span<byte> destination, int lastStreamId, ErrorCode reason)
    {
        new FrameHeader(8, FrameType.GoAway, FrameFlags.None, 0).Write(destination);
        BinaryPrimitives.WriteInt32BigEndian(destination[FrameHeader.Size..], lastStreamId);
        BinaryPrimitives.WriteUInt32BigEndian(destination[(FrameHeader.Size + 4)..], (uint)reason);
        return GoAwaySize;
    }
}
