using System.Runtime.CompilerServices;
using Millau.Async;
using Millau.Http1;
using Millau.Ingress;
using Millau.Transport;
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

    // What is written goes out at the latest when it is so much.
    private const int FlushAt = 64 * 1024;

    /// <summary>A rest as long as this goes from socket to socket inside the kernel, where both are plain: the bytes are not copied.</summary>
    public const int LeastSpliced = 32 * 1024;

    /// <summary>A body of known length.</summary>
    public static ValueTask<RelayResult> RelayLengthAsync(
        UpstreamConnection connection, Exchange exchange, RequestOutcome outcome, long length) =>
        RelayPlainAsync(connection, exchange, outcome, length, endsWithConnection: false);

    /// <summary>A body that ends with the connection (RFC 9112 section 6.3, case 8).</summary>
    public static ValueTask<RelayResult> RelayToEndAsync(UpstreamConnection connection, Exchange exchange, RequestOutcome outcome) =>
        exchange.TakesPlainBody
            ? RelayPlainAsync(connection, exchange, outcome, long.MaxValue, endsWithConnection: true)
            : RelayInPiecesAsync(connection, exchange, outcome);

    /// <summary>A chunked body.</summary>
    /// <param name="connection">Where it comes from.</param>
    /// <param name="exchange">Where it goes.</param>
    /// <param name="outcome">Counts its bytes.</param>
    /// <param name="trailers">The client takes trailers; else they are dropped.</param>
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    public static async ValueTask<RelayResult> RelayChunkedAsync(
        UpstreamConnection connection, Exchange exchange, RequestOutcome outcome, bool trailers)
    {
        var decoder = new ChunkedDecoder();
        var waiting = 0;
        while (true)
        {
            if (!Decode(connection, exchange, outcome, ref decoder, ref waiting)) return RelayResult.Broken;
            if (decoder.IsDone) break;
            var received = connection.TryFill();
            if (received == UpstreamConnection.NothingYet || waiting >= FlushAt)
            {
                if (!await exchange.FlushAsync().ConfigureAwait(false)) return RelayResult.ClientGone;
                await exchange.Moved(waiting).ConfigureAwait(false);
                waiting = 0;
            }
            if (received == UpstreamConnection.NothingYet) received = connection.EndFill(await connection.StartFill().ConfigureAwait(false));
            if (received <= 0) return RelayResult.Broken;
        }
        if (!Trailers.TryRead(decoder.Trailers, out var fields)) return RelayResult.Broken;
        exchange.EndBody(trailers ? fields : null);
        return RelayResult.Done;
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private static async ValueTask<RelayResult> RelayPlainAsync(
        UpstreamConnection connection, Exchange exchange, RequestOutcome outcome, long left, bool endsWithConnection)
    {
        var waiting = (int)Math.Min(left, connection.Buffered.Length);
        exchange.Write(connection.Buffered.Span[..waiting]);
        connection.Consume(waiting);
        left -= waiting;
        outcome.ResponseBytes += waiting;
        if (left >= LeastSpliced && connection.PlainSocket is { } source && exchange.PlainSocket is { } target)
        {
            if (!await exchange.FlushAsync().ConfigureAwait(false)) return RelayResult.ClientGone;
            var copy = new SplicedCopy(source.Loop.Pipes);
            var end = await copy.RunAsync(source, target, left).ConfigureAwait(false);
            exchange.Spliced(copy.Copied);
            outcome.ResponseBytes += copy.Copied;
            left -= copy.Copied;
            if (end != SpliceEnd.NotSplicable) return ResultOf(end, endsWithConnection);
            waiting = 0;
        }
        while (left > 0)
        {
            var memory = GetMemory(exchange, left);
            var received = connection.TryReceive(memory.Span);
            if (received == UpstreamConnection.NothingYet)
            {
                if (!await exchange.FlushAsync().ConfigureAwait(false)) return RelayResult.ClientGone;
                waiting = 0;
                received = await connection.ReceiveAsync(GetMemory(exchange, left)).ConfigureAwait(false);
            }
            if (received == 0 && endsWithConnection) break;
            if (received <= 0) return RelayResult.Broken;
            exchange.Advance(received);
            left -= received;
            outcome.ResponseBytes += received;
            waiting += received;
            if (waiting < FlushAt || left == 0) continue;
            if (!await exchange.FlushAsync().ConfigureAwait(false)) return RelayResult.ClientGone;
            await exchange.Moved(waiting).ConfigureAwait(false);
            waiting = 0;
        }
        return RelayResult.Done;
    }

    // To the end of the connection, for a client that gets chunks.
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private static async ValueTask<RelayResult> RelayInPiecesAsync(UpstreamConnection connection, Exchange exchange, RequestOutcome outcome)
    {
        while (true)
        {
            var piece = connection.Buffered;
            exchange.Write(piece.Span);
            outcome.ResponseBytes += piece.Length;
            connection.Consume(piece.Length);
            if (!await exchange.FlushAsync().ConfigureAwait(false)) return RelayResult.ClientGone;
            var received = connection.EndFill(await connection.StartFill().ConfigureAwait(false));
            if (received <= 0) return received == 0 ? RelayResult.Done : RelayResult.Broken;
        }
    }

    // False when the bytes are no chunked body.
    private static bool Decode(
        UpstreamConnection connection, Exchange exchange, RequestOutcome outcome, ref ChunkedDecoder decoder, ref int waiting)
    {
        while (!connection.Buffered.IsEmpty && !decoder.IsDone)
        {
            var input = connection.Buffered.Span;
            if (!decoder.TryRead(input, out var consumed, out var data)) return false;
            exchange.Write(input.Slice(consumed - data, data));
            waiting += data;
            outcome.ResponseBytes += data;
            connection.Consume(consumed);
        }
        return true;
    }

    private static RelayResult ResultOf(SpliceEnd end, bool endsWithConnection) => end switch
    {
        SpliceEnd.Done => RelayResult.Done,
        SpliceEnd.SourceEnded when endsWithConnection => RelayResult.Done,
        SpliceEnd.TargetFailed => RelayResult.ClientGone,
        _ => RelayResult.Broken,
    };

    private static Memory<byte> GetMemory(Exchange exchange, long left)
    {
        var memory = exchange.GetMemory((int)Math.Min(left, MinReceive));
        return memory.Length > left ? memory[..(int)left] : memory;
    }
}
