using CsCheck;
using Millau.Http2;

namespace Millau.Tests.Http2;

public class FrameTests
{
    [Fact]
    public void A_header_is_nine_bytes_without_the_reserved_bit()
    {
        var header = FrameHeader.Read(Hpack.Hex("012345 01 24 ffffffff"));
        Assert.Equal(new FrameHeader(0x12345, FrameType.Headers, FrameFlags.EndHeaders | FrameFlags.Priority, int.MaxValue), header);
        Assert.True(header.Has(FrameFlags.EndHeaders));
        Assert.False(header.Has(FrameFlags.EndStream));
    }

    [Fact]
    public void Any_header_comes_back() => Gen.Select(Gen.Int[0, FrameHeader.LargestLength], Gen.Byte, Gen.Byte, Gen.Int[0, int.MaxValue]).Sample(
        (length, type, flags, stream) =>
        {
            var header = new FrameHeader(length, (FrameType)type, (FrameFlags)flags, stream);
            var bytes = new byte[FrameHeader.Size];
            header.Write(bytes);
            Assert.Equal(header, FrameHeader.Read(bytes));
        });

    [Fact]
    public void Frames_of_the_connection_are_written()
    {
        var bytes = new byte[64];
        Assert.Equal("00000C040000000000000300000064000600008000", Written(FrameWriter.Settings(bytes, (SettingId.MaxConcurrentStreams, 100u), (SettingId.MaxHeaderListSize, 32_768u))));
        Assert.Equal(FrameWriter.SettingsSize(2), FrameWriter.Settings(bytes, (SettingId.EnablePush, 0u), (SettingId.EnablePush, 0u)));
        Assert.Equal("000000040100000000", Written(FrameWriter.SettingsAck(bytes)));
        Assert.Equal("0000080601000000000102030405060708", Written(FrameWriter.PingAck(bytes, [1, 2, 3, 4, 5, 6, 7, 8])));
        Assert.Equal("000004080000000003000F4240", Written(FrameWriter.WindowUpdate(bytes, 3, 1_000_000)));
        Assert.Equal("00000403000000000500000008", Written(FrameWriter.RstStream(bytes, 5, ErrorCode.Cancel)));
        Assert.Equal("0000080700000000007FFFFFFF0000000B", Written(FrameWriter.GoAway(bytes, int.MaxValue, ErrorCode.EnhanceYourCalm)));
        Assert.Equal((9, 17, 13, 13, 17),
            (FrameWriter.SettingsAckSize, FrameWriter.PingSize, FrameWriter.WindowUpdateSize, FrameWriter.RstStreamSize, FrameWriter.GoAwaySize));

        string Written(int length) => Convert.ToHexString(bytes, 0, length);
    }

    [Theory]
    [InlineData(FrameFlags.None, 1, "", ErrorCode.NoError, "")]
    [InlineData(FrameFlags.None, 1, "616263", ErrorCode.NoError, "abc")]
    [InlineData(FrameFlags.Padded, 1, "00616263", ErrorCode.NoError, "abc")]
    [InlineData(FrameFlags.Padded, 1, "0261620000", ErrorCode.NoError, "ab")]
    [InlineData(FrameFlags.Padded, 1, "020000", ErrorCode.NoError, "")]
    [InlineData(FrameFlags.Padded, 1, "00", ErrorCode.NoError, "")]
    [InlineData(FrameFlags.Padded, 1, "0300", ErrorCode.ProtocolError, null)]
    [InlineData(FrameFlags.Padded, 1, "01", ErrorCode.ProtocolError, null)]
    [InlineData(FrameFlags.Padded, 1, "", ErrorCode.FrameSizeError, null)]
    [InlineData(FrameFlags.None, 0, "616263", ErrorCode.ProtocolError, null)]
    public void Data_without_its_padding(object flags, int stream, string hex, object error, string? expected)
    {
        var payload = Hpack.Hex(hex);
        Assert.Equal((ErrorCode)error, FramePayload.Data(new(payload.Length, FrameType.Data, (FrameFlags)flags, stream), payload, out var data));
        if (expected is not null) Assert.Equal(expected, Hpack.Text(data));
    }

    [Theory]
    [InlineData(FrameFlags.None, 1, "8286", ErrorCode.NoError, "8286", false)]
    [InlineData(FrameFlags.Padded, 1, "0182 00", ErrorCode.NoError, "82", false)]
    [InlineData(FrameFlags.Priority, 1, "8000000310 82", ErrorCode.NoError, "82", false)]
    [InlineData(FrameFlags.Priority, 3, "8000000310 82", ErrorCode.NoError, "82", true)]
    [InlineData(FrameFlags.Priority, 1, "0000000310", ErrorCode.NoError, "", false)]
    [InlineData(FrameFlags.Priority, 1, "00000003", ErrorCode.FrameSizeError, null, false)]
    [InlineData(FrameFlags.Priority | FrameFlags.Padded, 1, "02 0000000310 82 0000", ErrorCode.NoError, "82", false)]
    [InlineData(FrameFlags.Priority | FrameFlags.Padded, 1, "02 00000003 0000", ErrorCode.FrameSizeError, null, false)]
    [InlineData(FrameFlags.Padded, 1, "0282", ErrorCode.ProtocolError, null, false)]
    [InlineData(FrameFlags.None, 0, "82", ErrorCode.ProtocolError, null, false)]
    public void Fragments_without_padding_and_priority(object flags, int stream, string hex, object error, string? expected, bool itself)
    {
        var payload = Hpack.Hex(hex);
        Assert.Equal((ErrorCode)error, FramePayload.Headers(new(payload.Length, FrameType.Headers, (FrameFlags)flags, stream), payload, out var fragment, out var dependsOnItself));
        Assert.Equal(itself, dependsOnItself);
        if (expected is not null) Assert.Equal(expected, Convert.ToHexString(fragment));
    }

    [Theory]
    [InlineData(FrameType.Priority, 1, 5, ErrorCode.NoError)]
    [InlineData(FrameType.Priority, 1, 4, ErrorCode.FrameSizeError)]
    [InlineData(FrameType.Priority, 1, 6, ErrorCode.FrameSizeError)]
    [InlineData(FrameType.Priority, 0, 5, ErrorCode.ProtocolError)]
    [InlineData(FrameType.Priority, 0x01010101, 5, ErrorCode.ProtocolError)]
    [InlineData(FrameType.RstStream, 1, 4, ErrorCode.NoError)]
    [InlineData(FrameType.RstStream, 1, 3, ErrorCode.FrameSizeError)]
    [InlineData(FrameType.RstStream, 1, 5, ErrorCode.FrameSizeError)]
    [InlineData(FrameType.RstStream, 0, 4, ErrorCode.ProtocolError)]
    [InlineData(FrameType.Settings, 0, 0, ErrorCode.NoError)]
    [InlineData(FrameType.Settings, 0, 12, ErrorCode.NoError)]
    [InlineData(FrameType.Settings, 0, 5, ErrorCode.FrameSizeError)]
    [InlineData(FrameType.Settings, 1, 6, ErrorCode.ProtocolError)]
    [InlineData(FrameType.Settings, 0, 6, ErrorCode.FrameSizeError, FrameFlags.Ack)]
    [InlineData(FrameType.Settings, 0, 0, ErrorCode.NoError, FrameFlags.Ack)]
    [InlineData(FrameType.Ping, 0, 8, ErrorCode.NoError)]
    [InlineData(FrameType.Ping, 0, 7, ErrorCode.FrameSizeError)]
    [InlineData(FrameType.Ping, 0, 9, ErrorCode.FrameSizeError)]
    [InlineData(FrameType.Ping, 1, 8, ErrorCode.ProtocolError)]
    [InlineData(FrameType.GoAway, 0, 8, ErrorCode.NoError)]
    [InlineData(FrameType.GoAway, 0, 20, ErrorCode.NoError)]
    [InlineData(FrameType.GoAway, 0, 7, ErrorCode.FrameSizeError)]
    [InlineData(FrameType.GoAway, 1, 8, ErrorCode.ProtocolError)]
    [InlineData(FrameType.WindowUpdate, 0, 4, ErrorCode.NoError)]
    [InlineData(FrameType.WindowUpdate, 1, 4, ErrorCode.NoError)]
    [InlineData(FrameType.WindowUpdate, 1, 3, ErrorCode.FrameSizeError)]
    [InlineData(FrameType.WindowUpdate, 1, 5, ErrorCode.FrameSizeError)]
    [InlineData(FrameType.Continuation, 1, 5, ErrorCode.NoError)]
    [InlineData(FrameType.Continuation, 0, 5, ErrorCode.ProtocolError)]
    public void Streams_and_lengths_are_checked(object type, int stream, int length, object error, object? flags = null)
    {
        var payload = new byte[length];
        Array.Fill(payload, (byte)1);
        Assert.Equal((ErrorCode)error, Check(new(length, (FrameType)type, (FrameFlags)(flags ?? FrameFlags.None), stream), payload));
    }

    /// <summary>Reads a payload by its type.</summary>
    internal static ErrorCode Check(FrameHeader header, ReadOnlySpan<byte> payload) => header.Type switch
    {
        FrameType.Data => FramePayload.Data(header, payload, out _),
        FrameType.Headers => FramePayload.Headers(header, payload, out _, out _),
        FrameType.Priority => FramePayload.Priority(header, payload),
        FrameType.RstStream => FramePayload.RstStream(header, payload, out _),
        FrameType.Settings => FramePayload.Settings(header, payload),
        FrameType.Ping => FramePayload.Ping(header, payload),
        FrameType.GoAway => FramePayload.GoAway(header, payload, out _, out _),
        FrameType.WindowUpdate => FramePayload.WindowUpdate(payload, out _),
        _ => FramePayload.Continuation(header),
    };

    [Fact]
    public void What_frames_say_is_read()
    {
        Assert.Equal(ErrorCode.NoError, FramePayload.RstStream(new(4, FrameType.RstStream, 0, 1), [0, 0, 0, 8], out var reason));
        Assert.Equal(ErrorCode.Cancel, reason);
        Assert.Equal(ErrorCode.NoError, FramePayload.GoAway(new(9, FrameType.GoAway, 0, 0), [0x80, 0, 0, 7, 0, 0, 0, 1, 99], out var last, out reason));
        Assert.Equal((7, ErrorCode.ProtocolError), (last, reason));
        Assert.Equal(ErrorCode.NoError, FramePayload.WindowUpdate([0xff, 0xff, 0xff, 0xff], out var increment));
        Assert.Equal(int.MaxValue, increment);
        Assert.Equal(ErrorCode.ProtocolError, FramePayload.WindowUpdate([0x80, 0, 0, 0], out _));
    }

    [Theory]
    [InlineData(SettingId.HeaderTableSize, uint.MaxValue, ErrorCode.NoError)]
    [InlineData(SettingId.EnablePush, 0, ErrorCode.NoError)]
    [InlineData(SettingId.EnablePush, 1, ErrorCode.NoError)]
    [InlineData(SettingId.EnablePush, 2, ErrorCode.ProtocolError)]
    [InlineData(SettingId.MaxConcurrentStreams, 0, ErrorCode.NoError)]
    [InlineData(SettingId.InitialWindowSize, int.MaxValue, ErrorCode.NoError)]
    [InlineData(SettingId.InitialWindowSize, 0x80000000, ErrorCode.FlowControlError)]
    [InlineData(SettingId.MaxFrameSize, 16_384, ErrorCode.NoError)]
    [InlineData(SettingId.MaxFrameSize, 16_383, ErrorCode.ProtocolError)]
    [InlineData(SettingId.MaxFrameSize, 16_777_215, ErrorCode.NoError)]
    [InlineData(SettingId.MaxFrameSize, 16_777_216, ErrorCode.ProtocolError)]
    [InlineData(SettingId.MaxHeaderListSize, 0, ErrorCode.NoError)]
    [InlineData(SettingId.EnableConnectProtocol, 1, ErrorCode.NoError)]
    [InlineData(SettingId.EnableConnectProtocol, 2, ErrorCode.ProtocolError)]
    [InlineData(SettingId.NoRfc7540Priorities, 1, ErrorCode.NoError)]
    [InlineData(SettingId.NoRfc7540Priorities, 2, ErrorCode.ProtocolError)]
    [InlineData((SettingId)0xffff, 12345, ErrorCode.NoError)]
    public void Settings_have_their_ranges(object id, long value, object error)
    {
        var frame = new byte[FrameWriter.SettingsSize(1)];
        FrameWriter.Settings(frame, ((SettingId)id, (uint)value));
        Assert.Equal((ErrorCode)error, new PeerSettings().Apply(frame.AsSpan(FrameHeader.Size)));
    }

    [Fact]
    public void Settings_are_taken_in_their_order_and_others_keep_their_values()
    {
        var settings = new PeerSettings();
        Assert.Equal((4096u, true, uint.MaxValue, 65_535, 16_384, uint.MaxValue), All());
        var frame = new byte[FrameWriter.SettingsSize(6)];
        FrameWriter.Settings(frame, (SettingId.HeaderTableSize, 0u), (SettingId.InitialWindowSize, 1u), (SettingId.EnablePush, 0u),
            (SettingId.InitialWindowSize, 2u), (SettingId.MaxFrameSize, 20_000u), (SettingId.MaxHeaderListSize, 5u));
        Assert.Equal(ErrorCode.NoError, settings.Apply(frame.AsSpan(FrameHeader.Size)));
        Assert.Equal((0u, false, uint.MaxValue, 2, 20_000, 5u), All());
        FrameWriter.Settings(frame, (SettingId.MaxConcurrentStreams, 9u));
        Assert.Equal(ErrorCode.NoError, settings.Apply(frame.AsSpan(FrameHeader.Size, 6)));
        Assert.Equal((0u, false, 9u, 2, 20_000, 5u), All());

        (uint, bool, uint, int, int, uint) All() => (settings.HeaderTableSize, settings.EnablePush, settings.MaxConcurrentStreams,
            settings.InitialWindowSize, settings.MaxFrameSize, settings.MaxHeaderListSize);
    }
}
