using Microsoft.AspNetCore.Http;
using Millau.Http2;

namespace Millau.Ingress.Http2;

/// <summary>
/// Takes the header blocks of a connection: requests, which open streams (RFC 9113 section 5.1), and what stands behind their bodies.
/// Each is decoded, also one that is refused, for the sake of the next.
/// </summary>
/// <remarks>Concurrency: of the connection's reading, but for <see cref="Since"/>.</remarks>
internal sealed class Http2Blocks(Http2Connection connection, Http2Input input, bool isSecure)
{
    private readonly HpackDecoder _decoder = new();
    private readonly string _scheme = isSecure ? "https" : "http";
    private Http2Fragments _fragments = new();
    private long _since = -1;

    /// <summary>Nothing but the rest of a block may come.</summary>
    public bool IsIncomplete => _fragments.Stream != 0;

    /// <summary>Since when that is so; null if it is not. Any thread.</summary>
    public long? Since => Volatile.Read(ref _since) is >= 0 and var since ? since : null;

    /// <summary>Gives back what it holds.</summary>
    public void Dispose() => _fragments.Release();

    /// <summary>HEADERS.</summary>
    public ErrorCode TakeHeaders(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        var error = FramePayload.Headers(header, payload, out var fragment, out var dependsOnItself);
        if (error != ErrorCode.NoError) return error;
        var ends = header.Has(FrameFlags.EndStream);
        if (header.Has(FrameFlags.EndHeaders)) return TakeBlock(header.StreamId, fragment, ends, dependsOnItself);
        Volatile.Write(ref _since, connection.Now);
        _fragments.Begin(header.StreamId, ends, dependsOnItself);
        _fragments.TryAdd(fragment);
        return ErrorCode.NoError;
    }

    /// <summary>CONTINUATION.</summary>
    public ErrorCode TakeContinuation(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.StreamId != _fragments.Stream) return ErrorCode.ProtocolError;
        if (!_fragments.TryAdd(payload)) return ErrorCode.EnhanceYourCalm;
        if (!header.Has(FrameFlags.EndHeaders)) return ErrorCode.NoError;
        Volatile.Write(ref _since, -1);
        var error = TakeBlock(header.StreamId, _fragments.Block, _fragments.EndsStream, _fragments.IsMalformed);
        _fragments.Release();
        return error;
    }

    private ErrorCode TakeBlock(int stream, ReadOnlySpan<byte> block, bool ends, bool malformed)
    {
        var reader = _decoder.Read(block);
        Http2Exchange? exchange;
        bool full;
        lock (connection.Gate)
        {
            exchange = connection.Streams.Find(stream);
            if (exchange is null)
            {
                if ((stream & 1) == 0) return ErrorCode.ProtocolError;
                if (stream <= connection.Streams.LastSeen && !connection.Streams.WasReset(stream)) return ErrorCode.StreamClosed;
            }
            full = exchange is null && (stream <= connection.Streams.LastSeen || connection.Streams.IsFull || connection.IsLeaving);
        }
        if (exchange is not null) return TakeTrailers(exchange, ref reader, ends, malformed);
        return full ? Refuse(stream, ref reader) : TakeRequest(stream, ref reader, ends, malformed);
    }

    private ErrorCode TakeTrailers(Http2Exchange exchange, ref HpackReader reader, bool ends, bool malformed)
    {
        var verdict = Http2HeadReader.ReadTrailers(ref reader, out var trailers);
        if (verdict == HeadVerdict.Broken) return reader.Error;
        var reason = ErrorCode.NoError;
        lock (connection.Gate)
        {
            // Its answer may have ended meanwhile.
            if (exchange.IsOver) return ErrorCode.NoError;
            if (exchange.HasClientEnded) reason = ErrorCode.StreamClosed;
            else if (verdict != HeadVerdict.Good || malformed || !ends || Http2Input.IsWrongLength(exchange, ends)) reason = ErrorCode.ProtocolError;
            if (reason == ErrorCode.NoError)
            {
                exchange.HasClientEnded = true;
                exchange.RequestTrailers = trailers;
                input.AddNews(exchange);
            }
        }
        if (reason != ErrorCode.NoError) return input.Break(exchange, reason);
        exchange.RequestBody.End();
        return ErrorCode.NoError;
    }

    // RFC 9113 section 8.7: nothing was done for it, so that it may be sent again.
    private ErrorCode Refuse(int stream, ref HpackReader reader)
    {
        if (!Http2HeadReader.TrySkip(ref reader)) return reader.Error;
        lock (connection.Gate)
        {
            if (stream <= connection.Streams.LastSeen) return ErrorCode.NoError;
            connection.Streams.LastSeen = stream;
            connection.Streams.WriteReset(stream, ErrorCode.RefusedStream);
        }
        return input.Spoilt();
    }

    private ErrorCode TakeRequest(int stream, ref HpackReader reader, bool ends, bool malformed)
    {
        Http2Exchange exchange;
        lock (connection.Gate) exchange = connection.Streams.Rent();
        var head = new Http2HeadReader(exchange.Fields, isSecure, exchange.Method, exchange.Target);
        var verdict = head.Read(ref reader, out var request);
        var good = verdict == HeadVerdict.Good && !malformed && !(ends && request.ContentLength > 0);
        if (good) exchange.Begin(stream, request, _scheme, ends);
        lock (connection.Gate)
        {
            connection.Streams.LastSeen = stream;
            // Race window: the client may have been told meanwhile that this stream comes too late.
            var late = good && connection.IsLeaving;
            if (good && !late)
            {
                connection.Streams.Add(exchange);
                return ErrorCode.NoError;
            }
            connection.Streams.GiveBack(exchange);
            if (late)
            {
                connection.Streams.WriteReset(stream, ErrorCode.RefusedStream);
                return ErrorCode.NoError;
            }
            if (verdict == HeadVerdict.Broken) return reader.Error;
            if (verdict == HeadVerdict.TooLarge)
            {
                connection.Output.Pending.Status(stream, StatusCodes.Status431RequestHeaderFieldsTooLarge, ends: true);
                if (!ends) connection.Streams.WriteReset(stream, ErrorCode.NoError);
            }
            else
            {
                connection.Streams.WriteReset(stream, ErrorCode.ProtocolError);
            }
        }
        return input.Spoilt();
    }
}
