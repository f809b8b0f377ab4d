using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Millau.Async;
using Millau.Http1;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// Gives the body of an instance's response to the client as it comes, in whichever of the framings of RFC 9112
/// section 6.3 it has. What has come goes out as soon as nothing more is there: an event is not held back, and a large
/// body takes few calls. A client that does not read stops the receiving.
/// </summary>
internal static class BodyRelay
{
    // The least to receive at once. What the writer gives is the rest of its block, if that is more, and that is received.
    private const int MinReceive = 4 * 1024;

    // As much as Kestrel takes before it makes the writer wait.
    private const int FlushAt = 64 * 1024;

    /// <summary>A body of known length.</summary>
    public static ValueTask<RelayResult> RelayLengthAsync(
        UpstreamConnection connection, PipeWriter writer, RequestOutcome outcome, long length) =>
        RelayPlainAsync(connection, writer, outcome, length, endsWithConnection: false);

    /// <summary>A body that ends with the connection (RFC 9112 section 6.3, case 8).</summary>
    public static ValueTask<RelayResult> RelayToEndAsync(
        UpstreamConnection connection, PipeWriter writer, RequestOutcome outcome) =>
        RelayPlainAsync(connection, writer, outcome, long.MaxValue, endsWithConnection: true);

    /// <summary>A chunked body.</summary>
    /// <param name="connection">Where it comes from.</param>
    /// <param name="writer">Where it goes.</param>
    /// <param name="outcome">Counts its bytes.</param>
    /// <param name="trailers">How it goes to a client that takes trailers; null for one that does not: they are dropped.</param>
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    public static async ValueTask<RelayResult> RelayChunkedAsync(
        UpstreamConnection connection, PipeWriter writer, RequestOutcome outcome, TrailerSink? trailers)
    {
        var decoder = new ChunkedDecoder();
        var waiting = 0;
        var flushed = false;
        while (true)
        {
            if (!Decode(connection, writer, outcome, trailers, ref decoder, ref waiting)) return RelayResult.Broken;
            if (decoder.IsDone) break;
            var received = connection.TryFill();
            if (received == UpstreamConnection.NothingYet || waiting >= FlushAt)
            {
                if (!await FlushAsync(writer).ConfigureAwait(false)) return RelayResult.ClientGone;
                flushed = true;
                waiting = 0;
            }
            if (received == UpstreamConnection.NothingYet) received = await connection.FillAsync().ConfigureAwait(false);
            if (received <= 0) return RelayResult.Broken;
        }
        if (!Trailers.TryRead(decoder.Trailers, out var fields)) return RelayResult.Broken;
        trailers?.End(writer, fields);
        return await EndAsync(writer, flushed).ConfigureAwait(false) ? RelayResult.Done : RelayResult.ClientGone;
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private static async ValueTask<RelayResult> RelayPlainAsync(
        UpstreamConnection connection, PipeWriter writer, RequestOutcome outcome, long left, bool endsWithConnection)
    {
        var waiting = (int)Math.Min(left, connection.Buffered.Length);
        var flushed = false;
        writer.Write(connection.Buffered.Span[..waiting]);
        connection.Consume(waiting);
        left -= waiting;
        outcome.ResponseBytes += waiting;
        while (left > 0)
        {
            var memory = GetMemory(writer, left);
            var received = connection.TryReceive(memory.Span);
            if (received == UpstreamConnection.NothingYet)
            {
                if (!await FlushAsync(writer).ConfigureAwait(false)) return RelayResult.ClientGone;
                flushed = true;
                waiting = 0;
                received = await connection.ReceiveAsync(GetMemory(writer, left)).ConfigureAwait(false);
            }
            if (received == 0 && endsWithConnection) break;
            if (received <= 0) return RelayResult.Broken;
            writer.Advance(received);
            left -= received;
            outcome.ResponseBytes += received;
            waiting += received;
            if (waiting < FlushAt || left == 0) continue;
            if (!await FlushAsync(writer).ConfigureAwait(false)) return RelayResult.ClientGone;
            flushed = true;
            waiting = 0;
        }
        return await EndAsync(writer, flushed).ConfigureAwait(false) ? RelayResult.Done : RelayResult.ClientGone;
    }

    // False when the bytes are no chunked body.
    private static bool Decode(
        UpstreamConnection connection, PipeWriter writer, RequestOutcome outcome, TrailerSink? trailers,
        ref ChunkedDecoder decoder, ref int waiting)
    {
        while (!connection.Buffered.IsEmpty && !decoder.IsDone)
        {
            var input = connection.Buffered.Span;
            if (!decoder.TryRead(input, out var consumed, out var data)) return false;
            if (data > 0 && trailers is null) writer.Write(input.Slice(consumed - data, data));
            else if (data > 0) trailers!.Write(writer, input.Slice(consumed - data, data));
            waiting += data;
            outcome.ResponseBytes += data;
            connection.Consume(consumed);
        }
        return true;
    }

    // Kestrel flushes the end of a response by itself, together with its head, only if nothing of it went out before.
    private static ValueTask<bool> EndAsync(PipeWriter writer, bool flushed) =>
        flushed ? FlushAsync(writer) : ValueTask.FromResult(true);

    // False when the client is gone.
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private static async ValueTask<bool> FlushAsync(PipeWriter writer)
    {
        var result = await writer.FlushAsync().ConfigureAwait(false);
        return !result.IsCompleted && !result.IsCanceled;
    }

    private static Memory<byte> GetMemory(PipeWriter writer, long left)
    {
        var memory = writer.GetMemory((int)Math.Min(left, MinReceive));
        return memory.Length > left ? memory[..(int)left] : memory;
    }
}
