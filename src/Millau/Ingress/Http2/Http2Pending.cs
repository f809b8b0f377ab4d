using System.Buffers;
using System.Globalization;
using System.Text;
using Millau.Http2;
using Millau.Memory;

namespace Millau.Ingress.Http2;

/// <summary>
/// Frames that are to be sent, but for those of bodies: heads, trailers, and what the connection has to say. Holds a pooled buffer
/// while there are some. Guarded by the connection's gate.
/// </summary>
internal sealed class Http2Pending
{
    /// <summary>Bytes beyond which a client is not read: who does not hear the answers asks no more.</summary>
    public const int Most = 64 * 1024;

    private const int FirstSize = 2 * 1024;

    // A field's share of a block, beyond its name and its value.
    private const int FieldOverhead = HpackEncoder.MaxOverhead;

    // Of :status, content-length and date.
    private const int OwnFields = 160;

    private readonly HpackEncoder _encoder = new();
    private byte[] _bytes = [];

    /// <summary>Bytes.</summary>
    public int Length { get; private set; }

    public void SetTableSize(uint size) => _encoder.SetPeerTableSize(size);

    /// <summary>A head.</summary>
    /// <param name="stream">Its stream.</param>
    /// <param name="head">Status and fields.</param>
    /// <param name="length">For Content-Length; -1 for none.</param>
    /// <param name="date">For Date, if a final head has none.</param>
    /// <param name="ends">Nothing comes behind it.</param>
    public void Head(int stream, Http2AnswerHead head, long length, ReadOnlySpan<byte> date, bool ends)
    {
        var start = BeginBlock(head.Length + head.Count * FieldOverhead + OwnFields);
        _encoder.TryWriteStatus(_bytes.AsSpan(Length), head.Status, out var written);
        Length += written;
        for (var place = 0; head.TryNext(ref place, out var name, out var value);) Field(name, value);
        if (length >= 0) ContentLength(length);
        if (head.Status >= 200 && !head.HasDate) Field(StaticName.Date, date);
        EndBlock(stream, start, ends);
    }

    /// <summary>A head without a field: an interim one, or an answer that is none of a handler's.</summary>
    public void Status(int stream, int status, bool ends)
    {
        var start = BeginBlock(OwnFields);
        _encoder.TryWriteStatus(_bytes.AsSpan(Length), status, out var written);
        Length += written;
        if (ends) ContentLength(0);
        EndBlock(stream, start, ends);
    }

    /// <summary>What comes behind a body; ends the stream.</summary>
    public void Trailers(int stream, List<(string Name, string Value)> fields)
    {
        var size = 0;
        foreach (var (name, value) in fields) size += name.Length + value.Length;
        var start = BeginBlock(size + fields.Count * FieldOverhead);
        var scratch = BufferPool.Shared.Rent(size);
        foreach (var (name, value) in fields)
        {
            var nameLength = Encoding.Latin1.GetBytes(name, scratch);
            var valueLength = Encoding.Latin1.GetBytes(value, scratch.AsSpan(nameLength));
            Field(scratch.AsSpan(0, nameLength), scratch.AsSpan(nameLength, valueLength));
        }
        BufferPool.Shared.Return(scratch);
        EndBlock(stream, start, ends: true);
    }

    public void Reset(int stream, ErrorCode reason) => Length += FrameWriter.RstStream(Reserve(FrameWriter.RstStreamSize), stream, reason);

    public void Grant(int stream, int bytes) => Length += FrameWriter.WindowUpdate(Reserve(FrameWriter.WindowUpdateSize), stream, bytes);

    public void GoAway(int lastStream, ErrorCode reason) =>
        Length += FrameWriter.GoAway(Reserve(FrameWriter.GoAwaySize), lastStream, reason);

    public void SettingsAck() => Length += FrameWriter.SettingsAck(Reserve(FrameWriter.SettingsAckSize));

    public void PingAck(ReadOnlySpan<byte> data) => Length += FrameWriter.PingAck(Reserve(FrameWriter.PingSize), data);

    /// <summary>A PING of this side, with eight bytes that come back.</summary>
    public void Ping(ReadOnlySpan<byte> data)
    {
        var frame = Reserve(FrameWriter.PingSize);
        new FrameHeader(FramePayload.PingSize, FrameType.Ping, FrameFlags.None, 0).Write(frame);
        data.CopyTo(frame[FrameHeader.Size..]);
        Length += FrameWriter.PingSize;
    }

    /// <summary>The first frame: what is not the default, and the window of the connection.</summary>
    public void Settings(int streams)
    {
        Length += FrameWriter.Settings(
            Reserve(FrameWriter.SettingsSize(4)),
            (SettingId.MaxConcurrentStreams, (uint)streams),
            (SettingId.InitialWindowSize, (uint)Http2Limits.StreamWindow),
            (SettingId.MaxHeaderListSize, (uint)Http2Limits.HeaderList),
            (SettingId.EnableConnectProtocol, 1u));
        Grant(0, Http2Limits.ConnectionWindow - SendWindow.Default);
    }

    /// <summary>Gives all to a writer; returns its bytes.</summary>
    public int MoveTo(IBufferWriter<byte> writer)
    {
        var length = Length;
        if (length == 0) return 0;
        writer.Write(_bytes.AsSpan(0, length));
        Release();
        return length;
    }

    /// <summary>Drops all.</summary>
    public void Release()
    {
        Length = 0;
        if (_bytes.Length == 0) return;
        BufferPool.Shared.Return(_bytes);
        _bytes = [];
    }

    private void ContentLength(long length)
    {
        Span<byte> digits = stackalloc byte[20];
        length.TryFormat(digits, out var count, default, CultureInfo.InvariantCulture);
        Field(StaticName.ContentLength, digits[..count]);
    }

    private void Field(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        _encoder.TryWriteField(_bytes.AsSpan(Length), name, value, out var written);
        Length += written;
    }

    private void Field(StaticName name, ReadOnlySpan<byte> value)
    {
        _encoder.TryWriteField(_bytes.AsSpan(Length), name, value, out var written);
        Length += written;
    }

    // Makes room for a whole block and leaves some for its frame header, before which it begins.
    private int BeginBlock(int size)
    {
        // As many frame headers as it may come to have.
        Reserve(FrameHeader.Size * (2 + size / FrameHeader.DefaultMaxLength) + size);
        var start = Length;
        Length += FrameHeader.Size;
        return start;
    }

    // RFC 9113 section 4.3: what does not fit one frame goes on in CONTINUATION, with nothing between.
    private void EndBlock(int stream, int start, bool ends)
    {
        // The client takes as much at least.
        const int mostFrame = FrameHeader.DefaultMaxLength;
        var size = Length - start - FrameHeader.Size;
        var flags = ends ? FrameFlags.EndStream : FrameFlags.None;
        if (size <= mostFrame)
        {
            new FrameHeader(size, FrameType.Headers, flags | FrameFlags.EndHeaders, stream).Write(_bytes.AsSpan(start));
            return;
        }
        new FrameHeader(mostFrame, FrameType.Headers, flags, stream).Write(_bytes.AsSpan(start));
        for (var next = start + FrameHeader.Size + mostFrame; next < Length;)
        {
            var count = Math.Min(mostFrame, Length - next);
            _bytes.AsSpan(next, Length - next).CopyTo(_bytes.AsSpan(next + FrameHeader.Size));
            Length += FrameHeader.Size;
            new FrameHeader(
                count, FrameType.Continuation, next + FrameHeader.Size + count == Length ? FrameFlags.EndHeaders : FrameFlags.None, stream)
                .Write(_bytes.AsSpan(next));
            next += FrameHeader.Size + count;
        }
    }

    private Span<byte> Reserve(int count)
    {
        if (_bytes.Length - Length < count)
        {
            var larger = BufferPool.Shared.Rent(Math.Max(FirstSize, Math.Max(Length + count, 2 * Length)));
            _bytes.AsSpan(0, Length).CopyTo(larger);
            if (_bytes.Length > 0) BufferPool.Shared.Return(_bytes);
            _bytes = larger;
        }
        return _bytes.AsSpan(Length);
    }
}
