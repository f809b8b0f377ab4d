using System.Buffers.Binary;

namespace Millau.Tests.Wire.Http2;

/// <summary>Frames of RFC 9113 section 6.</summary>
internal static class Http2Frame
{
    public const int HeadLength = 9;

    public const byte Data = 0, Headers = 1, Priority = 2, ResetStream = 3, Settings = 4, Ping = 6, GoAway = 7, WindowUpdate = 8, Continuation = 9;

    public const byte EndStream = 1, Ack = 1, EndHeaders = 4;

    public static byte[] Make(byte type, byte flags, int stream, ReadOnlySpan<byte> payload)
    {
        var frame = new byte[HeadLength + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8);
        frame[3] = type;
        frame[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame.AsSpan(HeadLength));
        return frame;
    }
}

/// <summary>Settings of RFC 9113 section 6.5.2 and RFC 8441 section 3.</summary>
internal static class Http2Setting
{
    public const ushort HeaderTableSize = 1, MaxConcurrentStreams = 3, InitialWindowSize = 4, EnableConnectProtocol = 8;
}

/// <summary>Error codes of RFC 9113 section 7.</summary>
internal static class Http2Error
{
    public const uint NoError = 0, ProtocolError = 1, InternalError = 2, FlowControlError = 3, RefusedStream = 7, EnhanceYourCalm = 11;
}
