using System.Buffers.Binary;

namespace Millau.Http2;

/// <summary>What a SETTINGS frame sets (RFC 9113 section 6.5.2, RFC 8441, RFC 9218). Others are to be ignored.</summary>
internal enum SettingId : ushort
{
    HeaderTableSize = 0x1,
    EnablePush = 0x2,
    MaxConcurrentStreams = 0x3,
    InitialWindowSize = 0x4,
    MaxFrameSize = 0x5,
    MaxHeaderListSize = 0x6,
    EnableConnectProtocol = 0x8,
    NoRfc7540Priorities = 0x9,
}

/// <summary>What the peer has set, with the defaults of RFC 9113 section 6.5.2.</summary>
internal struct PeerSettings()
{
    /// <summary>Bytes of its dynamic table for what it decodes.</summary>
    public uint HeaderTableSize { get; private set; } = HpackTable.Capacity;

    public bool EnablePush { get; private set; } = true;

    /// <summary>Streams that the peer lets this side open.</summary>
    public uint MaxConcurrentStreams { get; private set; } = uint.MaxValue;

    /// <summary>Bytes of body that a new stream may send before a WINDOW_UPDATE.</summary>
    public int InitialWindowSize { get; private set; } = SendWindow.Default;

    /// <summary>Largest payload in bytes that the peer takes.</summary>
    public int MaxFrameSize { get; private set; } = FrameHeader.DefaultMaxLength;

    /// <summary>Largest list of fields that the peer takes, as <see cref="HpackReader.ListSize"/> counts.</summary>
    public uint MaxHeaderListSize { get; private set; } = uint.MaxValue;

    /// <summary>
    /// Takes the values of a SETTINGS frame without Ack, in their order; those before a wrong one are taken too, but it ends the
    /// connection.
    /// </summary>
    /// <param name="payload">A multiple of six bytes, as <see cref="FramePayload.Settings"/> makes sure of.</param>
    /// <returns>FlowControlError or ProtocolError for a value out of its range.</returns>
    public ErrorCode Apply(ReadOnlySpan<byte> payload)
    {
        for (; !payload.IsEmpty; payload = payload[FramePayload.SettingSize..])
        {
            var value = BinaryPrimitives.ReadUInt32BigEndian(payload[2..]);
            switch ((SettingId)BinaryPrimitives.ReadUInt16BigEndian(payload))
            {
                case SettingId.HeaderTableSize:
                    HeaderTableSize = value;
                    break;
                case SettingId.EnablePush:
                    if (value > 1) return ErrorCode.ProtocolError;
                    EnablePush = value == 1;
                    break;
                case SettingId.MaxConcurrentStreams:
                    MaxConcurrentStreams = value;
                    break;
                case SettingId.InitialWindowSize:
                    if (value > int.MaxValue) return ErrorCode.FlowControlError;
                    InitialWindowSize = (int)value;
                    break;
                case SettingId.MaxFrameSize:
                    if (value is < FrameHeader.DefaultMaxLength or > FrameHeader.LargestLength) return ErrorCode.ProtocolError;
                    MaxFrameSize = (int)value;
                    break;
                case SettingId.MaxHeaderListSize:
                    MaxHeaderListSize = value;
                    break;
                case SettingId.EnableConnectProtocol or SettingId.NoRfc7540Priorities:
                    if (value > 1) return ErrorCode.ProtocolError;
                    break;
            }
        }
        return ErrorCode.NoError;
    }
}
