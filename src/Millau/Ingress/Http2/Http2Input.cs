using System.Buffers;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Millau.Http2;
using Millau.Memory;

namespace Millau.Ingress.Http2;

/// <summary>
/// Takes a connection's frames one after the other (RFC 9113 section 6): checks whether they may come, and does what they ask for.
/// Errors that it returns end the connection.
/// </summary>
/// <remarks>Concurrency: of the connection's reading; what is said to be guarded is so by the gate.</remarks>
internal sealed class Http2Input
{
    private readonly Http2Connection _connection;
    private readonly Http2Blocks _blocks;
    private readonly List<Http2Exchange> _news = [];
    private PeerSettings _settings = new();
    private ReceiveWindow _window = new(Http2Limits.ConnectionWindow);
    private Http2Floods _floods;
    private bool _prefaceSeen;
    private volatile bool _hasBegun;

    public Http2Input(Http2Connection connection, bool isSecure)
    {
        _connection = connection;
        _floods = new Http2Floods(connection.Now);
        _blocks = new Http2Blocks(connection, this, isSecure);
    }

    private static ReadOnlySpan<byte> Preface => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8;

    /// <summary>The client has said that it speaks HTTP/2. Any thread.</summary>
    public bool HasBegun => _hasBegun;

    /// <summary>Since when a head is incomplete; null if there is none. Any thread.</summary>
    public long? BlockSince => _blocks.Since;

    /// <summary>Takes all whole frames from the beginning of a buffer.</summary>
    public ErrorCode Take(ref ReadOnlySequence<byte> buffer)
    {
        if (!_prefaceSeen)
        {
            if (!TryPreface(ref buffer, out var error)) return error;
            _prefaceSeen = true;
        }
        Span<byte> head = stackalloc byte[FrameHeader.Size];
        while (buffer.Length >= FrameHeader.Size)
        {
            if (buffer.FirstSpan.Length >= FrameHeader.Size) buffer.FirstSpan[..FrameHeader.Size].CopyTo(head);
            else buffer.Slice(0, FrameHeader.Size).CopyTo(head);
            var header = FrameHeader.Read(head);
            if (header.Length > FrameHeader.DefaultMaxLength) return ErrorCode.FrameSizeError;
            if (buffer.Length < FrameHeader.Size + header.Length) break;
            buffer = buffer.Slice(FrameHeader.Size);
            var error = Take(header, buffer.Slice(0, header.Length));
            if (error != ErrorCode.NoError) return error;
            buffer = buffer.Slice(header.Length);
        }
        return ErrorCode.NoError;
    }

    /// <summary>Wakes those who read bodies that something has come for.</summary>
    public void WakeBodies()
    {
        if (_news.Count == 0) return;
        for (var i = 0; i < _news.Count; i++) _news[i].RequestBody.Wake();
        lock (_connection.Gate)
        {
            foreach (var exchange in _news)
            {
                exchange.HasNews = false;
                _connection.Streams.Release(exchange);
            }
        }
        _news.Clear();
    }

    /// <summary>Guarded: bytes of DATA need no room any more. True if the client is told so.</summary>
    public bool Release(Http2Exchange? exchange, int bytes)
    {
        var told = false;
        if (_window.Release(bytes) is > 0 and var all)
        {
            _connection.Output.Pending.Grant(0, all);
            told = true;
        }
        if (exchange is null || exchange.HasClientEnded || exchange.IsOver) return told;
        if (exchange.Granted.Release(bytes) is not (> 0 and var more)) return told;
        _connection.Output.Pending.Grant(exchange.Id, more);
        return true;
    }

    /// <summary>Gives back what it holds.</summary>
    public void Dispose() => _blocks.Dispose();

    private static bool TryPreface(ref ReadOnlySequence<byte> buffer, out ErrorCode error)
    {
        error = ErrorCode.NoError;
        Span<byte> begin = stackalloc byte[Preface.Length];
        var count = (int)Math.Min(buffer.Length, begin.Length);
        buffer.Slice(0, count).CopyTo(begin);
        if (!begin[..count].SequenceEqual(Preface[..count])) error = ErrorCode.ProtocolError;
        else if (count == begin.Length) buffer = buffer.Slice(count);
        else count = 0;
        return error == ErrorCode.NoError && count > 0;
    }

    private ErrorCode Take(FrameHeader header, ReadOnlySequence<byte> payload)
    {
        // RFC 9113 section 3.4: settings come first. Section 6.10: nothing stands between the frames of a block.
        if (!_hasBegun && (header.Type != FrameType.Settings || header.Has(FrameFlags.Ack))) return ErrorCode.ProtocolError;
        if (_blocks.IsIncomplete != (header.Type == FrameType.Continuation)) return ErrorCode.ProtocolError;
        if (header.Type == FrameType.Data && !header.Has(FrameFlags.Padded) && header.StreamId != 0)
            return TakeData(header, payload, padding: 0);
        if (payload.IsSingleSegment) return Take(header, payload.FirstSpan, payload);
        var whole = BufferPool.Shared.Rent(header.Length);
        payload.CopyTo(whole);
        var error = Take(header, whole.AsSpan(0, header.Length), new ReadOnlySequence<byte>(whole, 0, header.Length));
        BufferPool.Shared.Return(whole);
        return error;
    }

    private ErrorCode Take(FrameHeader header, ReadOnlySpan<byte> payload, ReadOnlySequence<byte> sequence)
    {
        switch (header.Type)
        {
            case FrameType.Data:
                var error = FramePayload.Data(header, payload, out var data);
                if (error != ErrorCode.NoError) return error;
                return TakeData(header, sequence.Slice(1, data.Length), padding: payload.Length - data.Length);
            case FrameType.Headers:
                return _blocks.TakeHeaders(header, payload);
            case FrameType.Continuation:
                return _blocks.TakeContinuation(header, payload);
            case FrameType.RstStream:
                return TakeReset(header, payload);
            case FrameType.Settings:
                return TakeSettings(header, payload);
            case FrameType.Ping:
                return TakePing(header, payload);
            case FrameType.WindowUpdate:
                return TakeWindowUpdate(header, payload);
            case FrameType.GoAway:
                // The client takes no streams of this side, of which there are none.
                return FramePayload.GoAway(header, payload, out _, out _);
            case FrameType.PushPromise:
                return ErrorCode.ProtocolError;
            case FrameType.Priority when FramePayload.Priority(header, payload) is not ErrorCode.NoError and var wrong:
                return wrong;
            default:
                return Empty();
        }
    }

    private ErrorCode Empty() => _floods.TryEmpty(_connection.Now) ? ErrorCode.NoError : ErrorCode.EnhanceYourCalm;

    /// <summary>A stream was spoilt by the client: an error when it was one too many.</summary>
    public ErrorCode Spoilt() => _floods.TrySpoil(_connection.Now) ? ErrorCode.NoError : ErrorCode.EnhanceYourCalm;

    private ErrorCode TakeSettings(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (FramePayload.Settings(header, payload) is not ErrorCode.NoError and var error) return error;
        if (header.Has(FrameFlags.Ack)) return Empty();
        if (_settings.Apply(payload) is not ErrorCode.NoError and var wrong) return wrong;
        _hasBegun = true;
        lock (_connection.Gate)
        {
            if (!_connection.Output.TrySet(_settings)) return ErrorCode.FlowControlError;
            _connection.Output.Pending.SettingsAck();
        }
        return Empty();
    }

    private ErrorCode TakePing(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (FramePayload.Ping(header, payload) is not ErrorCode.NoError and var error) return error;
        if (header.Has(FrameFlags.Ack))
        {
            _connection.OnPong(payload);
            return Empty();
        }
        lock (_connection.Gate) _connection.Output.Pending.PingAck(payload);
        return Empty();
    }

    private ErrorCode TakeWindowUpdate(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        var error = FramePayload.WindowUpdate(payload, out var increment);
        if (error == ErrorCode.FrameSizeError || (error != ErrorCode.NoError && header.StreamId == 0)) return error;
        Http2Exchange? exchange = null;
        lock (_connection.Gate)
        {
            if (header.StreamId != 0)
            {
                exchange = _connection.Streams.Find(header.StreamId);
                if (exchange is null) return IsIdle(header.StreamId) ? ErrorCode.ProtocolError : ErrorCode.NoError;
            }
            if (error == ErrorCode.NoError)
            {
                if (_connection.Output.TryWiden(exchange, increment)) return ErrorCode.NoError;
                if (exchange is null) return ErrorCode.FlowControlError;
                error = ErrorCode.FlowControlError;
            }
        }
        return Break(exchange!, error);
    }

    private ErrorCode TakeReset(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (FramePayload.RstStream(header, payload, out _) is not ErrorCode.NoError and var error) return error;
        Http2Exchange? exchange;
        lock (_connection.Gate)
        {
            if (IsIdle(header.StreamId)) return ErrorCode.ProtocolError;
            exchange = _connection.Streams.Find(header.StreamId);
        }
        return exchange is null ? Empty() : Break(exchange, null);
    }

    // Guarded. A stream of which nothing was heard.
    private bool IsIdle(int stream) => stream > _connection.Streams.LastSeen || (stream & 1) == 0;

    /// <summary>A stream alone is over, by the client's will or, with a reason, for its fault.</summary>
    public ErrorCode Break(Http2Exchange exchange, ErrorCode? reason)
    {
        bool broken;
        // While it is not yet told, it cannot become another stream's.
        lock (_connection.Gate) broken = _connection.Streams.TryBreak(exchange, reason);
        if (!broken) return ErrorCode.NoError;
        Exception failure = reason is null
            ? new ConnectionResetException("The client reset the stream.")
            : new BadHttpRequestException("The body is broken.", StatusCodes.Status400BadRequest);
        _connection.Streams.TellBroken(exchange, failure, gone: true);
        return Spoilt();
    }

    private ErrorCode TakeData(FrameHeader header, ReadOnlySequence<byte> data, int padding)
    {
        var ends = header.Has(FrameFlags.EndStream);
        var reason = ErrorCode.NoError;
        Http2Exchange? exchange;
        lock (_connection.Gate)
        {
            if (!_window.TryReceive(header.Length)) return ErrorCode.FlowControlError;
            if (IsIdle(header.StreamId)) return ErrorCode.ProtocolError;
            exchange = _connection.Streams.Find(header.StreamId);
            if (exchange is null || exchange.HasClientEnded)
            {
                reason = ErrorCode.StreamClosed;
            }
            else
            {
                if (!exchange.Granted.TryReceive(header.Length)) return ErrorCode.FlowControlError;
                exchange.Received += data.Length;
                if (IsWrongLength(exchange, ends)) reason = ErrorCode.ProtocolError;
                else if (ends) exchange.HasClientEnded = true;
                if (reason == ErrorCode.NoError) AddNews(exchange);
            }
        }
        if (reason != ErrorCode.NoError)
        {
            _connection.Grant(null, header.Length);
            return exchange is null ? RefuseData(header.StreamId) : Break(exchange, reason);
        }
        if (!exchange!.RequestBody.Append(data)) _connection.Grant(exchange, header.Length);
        else if (padding > 0) _connection.Grant(exchange, padding);
        if (ends) exchange.RequestBody.End();
        return header.Length - padding == 0 && !ends ? Empty() : ErrorCode.NoError;
    }

    // Data may have been under way when the stream was reset; else the client does not know what it does.
    private ErrorCode RefuseData(int stream)
    {
        lock (_connection.Gate)
        {
            if (_connection.Streams.WasReset(stream)) return ErrorCode.NoError;
            _connection.Streams.WriteReset(stream, ErrorCode.StreamClosed);
        }
        return Spoilt();
    }

    /// <summary>Guarded: something has come for a stream. Until it is woken it becomes no other one's.</summary>
    public void AddNews(Http2Exchange exchange)
    {
        if (exchange.HasNews) return;
        exchange.HasNews = true;
        exchange.Users++;
        _news.Add(exchange);
    }

    /// <summary>Guarded: the data are not what the request says (RFC 9113 section 8.1.1).</summary>
    public static bool IsWrongLength(Http2Exchange exchange, bool ends) =>
        exchange.ContentLength >= 0
        && (exchange.Received > exchange.ContentLength || (ends && exchange.Received < exchange.ContentLength));
}
