using System.Buffers.Binary;

namespace Millau.Http2;

/// <summary>What a frame is (RFC 9113 section 6). Others are to be ignored.</summary>
internal enum FrameType : byte
{
    Data = 0x0,
    Headers = 0x1,
    Priority = 0x2,
    RstStream = 0x3,
    Settings = 0x4,
    PushPromise = 0x5,
    Ping = 0x6,
    GoAway = 0x7,
    WindowUpdate = 0x8,
    Continuation = 0x9,
}

/// <summary>Flags of a frame; which have a meaning depends on its type (RFC 9113 section 6).</summary>
[Flags]
internal enum FrameFlags : byte
{
    None = 0,

    /// <summary>Of SETTINGS and PING.</summary>
    Ack = 0x1,

    /// <summary>Of DATA and HEADERS.</summary>
    EndStream = 0x1,
    EndHeaders = 0x4,
    Padded = 0x8,
    Priority = 0x20,
}

/// <summary>What each frame begins with (RFC 9113 section 4.1).</summary>
/// <param name="Length">Bytes of the payload, 0 to 2^24-1.</param>
/// <param name="Type">May be one that has no name.</param>
/// <param name="Flags">May have some that have no meaning.</param>
/// <param name="StreamId">0, the connection, to 2^31-1; the reserved bit is dropped.</param>
internal readonly record struct FrameHeader(int Length, FrameType Type, FrameFlags Flags, int StreamId)
{
    /// <summary>Bytes of a frame header.</summary>
    public const int Size = 9;

    /// <summary>Largest payload that need not be announced, and the least that may be (RFC 9113 section 6.5.2).</summary>
    public const int DefaultMaxLength = 16 * 1024;

    /// <summary>Largest payload that there can be.</summary>
    public const int LargestLength = (1 << 24) - 1;

    /// <summary>Reads the first <see cref="Size"/> bytes.</summary>
    public static FrameHeader Read(ReadOnlySpan<byte> bytes) => new(
        bytes[0] << 16 | bytes[1] << 8 | bytes[2],
        (FrameType)bytes[3],
        (FrameFlags)bytes[4],
        ReadStreamId(bytes[5..]));

    /// <summary>Writes <see cref="Size"/> bytes.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteInt32BigEndian(destination[5..], StreamId);
        BinaryPrimitives.WriteInt32BigEndian(destination, Length << 8 | (byte)Type);
        destination[4] = (byte)Flags;
    }

    /// <summary>Whether a flag is set.</summary>
    public bool Has(FrameFlags flag) => (Flags & flag) != 0;

    /// <summary>31 bits behind a reserved one.</summary>
    internal static int ReadStreamId(ReadOnlySpan<byte> bytes) => (int)(BinaryPrimitives.ReadUInt32BigEndian(bytes) & int.MaxValue);
}
