using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Http;
using Millau.Http1;
using Millau.Ingress;
using Millau.Ingress.Http1;
using Millau.Memory;
using Millau.Transport;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// The body of a client's request on its way to an instance: streamed as it comes, and kept as long as it may have to
/// be sent again. One attempt at a time.
/// </summary>
/// <remarks>
/// Concurrency: <see cref="SendAsync"/> runs beside the wait for the response. <see cref="Answered"/> and
/// <see cref="StopAsync"/> are called by the attempt that started it.
/// </remarks>
internal sealed class RequestBody
{
    // A body that came with the head is sent with the head, in one call.
    private const int MaxWithHead = 16 * 1024;

    private const int MostSpliced = 1024 * 1024;

    private static readonly byte[] LineEnd = "\r\n"u8.ToArray();
    private static readonly byte[] LastChunk = "0\r\n\r\n"u8.ToArray();

    private readonly List<ArraySegment<byte>> _segments = [];
    private readonly List<ArraySegment<byte>> _kept = [];
    private readonly byte[] _chunkSize = new byte[18];
    private PipeReader? _reader;
    private Exchange? _exchange;
    private bool _keep;
    private bool _lost;
    private bool _ended;
    private volatile bool _answered;
    private volatile bool _stopped;
    private volatile bool _ending;
    private long _taken;
    private Task<bool>? _sending;

    /// <summary>There is a body.</summary>
    public bool Exists { get; private set; }

    /// <summary>Its length in bytes, or -1 if it is not known beforehand: chunked then.</summary>
    public long Length { get; private set; } = -1;

    /// <summary>All that was read from the client is still there to be sent again.</summary>
    public bool IsReplayable => !_lost;

    /// <summary>Bytes kept to be sent again, beyond what stands behind the head.</summary>
    public long KeptBytes { get; private set; }

    /// <summary>Bytes that were read from the client, without framing.</summary>
    public long BytesRead => _taken;

    /// <summary>What went wrong on the client's side, or null.</summary>
    public Exception? ClientError { get; private set; }

    /// <summary>Takes over the body of a request, if it has one.</summary>
    /// <param name="exchange">The request's.</param>
    /// <param name="keep">It may be sent again, so it is kept, up to <see cref="RetryRule.MaxKeptBody"/>.</param>
    public void Begin(Exchange exchange, bool keep)
    {
        Exists = exchange.HasBody;
        Length = exchange.ContentLength;
        if (!Exists) return;
        _exchange = exchange;
        _reader = exchange.Body;
        _keep = keep && Length <= RetryRule.MaxKeptBody;
    }

    /// <summary>Puts what is there already behind the head, so that a small request is one call.</summary>
    /// <exception cref="BadHttpRequestException">It is broken.</exception>
    public void AppendTo(RequestWriter writer)
    {
        if (!Exists || Length == 0 || Length > MaxWithHead || !_reader!.TryRead(out var read)) return;
        if (Length < 0)
        {
            // Chunks need their framing, and are seldom small and complete. But what is broken from its beginning was seen
            // to be by this look, so that not even the head goes out.
            _reader.AdvanceTo(read.Buffer.Start);
            return;
        }
        writer.Body(read.Buffer);
        _taken = read.Buffer.Length;
        _ended = _taken == Length;
        _reader.AdvanceTo(read.Buffer.End);
    }

    /// <summary>Nothing is left to be sent after the head.</summary>
    public bool IsSentWithHead => !Exists || (_ended && _kept.Count == 0);

    /// <summary>No sending is under way.</summary>
    public bool IsSent => _sending is null || _sending.IsCompleted;

    /// <summary>Starts sending, what was kept first. The response is waited for meanwhile.</summary>
    public void Start(UpstreamConnection connection, TimeSpan timeout)
    {
        _answered = _stopped = false;
        _sending = SendAsync(connection, timeout);
    }

    /// <summary>The instance has begun to answer: from now on its timeout does not count.</summary>
    public void Answered(UpstreamConnection connection)
    {
        _answered = true;
        connection.ClearDeadline();
    }

    /// <summary>
    /// All of it was read from the client: what is under way is its last call, whose bytes the instance may have answered
    /// before the call returned.
    /// </summary>
    public bool IsEnding => _ending;

    /// <summary>Ends the sending for this attempt, and says whether the whole body was sent.</summary>
    public async ValueTask<bool> StopAsync()
    {
        // Never begun: the head promised a body all the same, if there is more of it (RFC 9110 section 10.1.1).
        if (_sending is null) return IsSentWithHead;
        if (!_sending.IsCompleted && !_ending)
        {
            _stopped = true;
            StopReading();
        }
        var sent = await _sending.ConfigureAwait(false);
        _sending = null;
        return sent;
    }

    /// <summary>Gives back what is kept. No attempt may be under way.</summary>
    public void Release()
    {
        Length = -1;
        if (!Exists) return;
        foreach (var kept in _kept) BufferPool.Shared.Return(kept.Array!);
        _kept.Clear();
        _segments.Clear();
        KeptBytes = 0;
        _reader = null;
        _exchange = null;
        _sending = null;
        ClientError = null;
        Exists = _keep = _lost = _ended = _answered = _stopped = _ending = false;
        _taken = 0;
        Length = -1;
    }

    private void StopReading()
    {
        try
        {
            _reader!.CancelPendingRead();
        }
        catch (Exception)
        {
            // The reader says the client's failure to whoever touches it, and so to the read that is under way, which ends by that.
        }
    }

    // False when not all of the body was sent: the instance does not take it, the attempt was stopped, or the client
    // failed. The first two show in what the instance says or does not say; the third is kept in ClientError.
    private async Task<bool> SendAsync(UpstreamConnection connection, TimeSpan timeout)
    {
        try
        {
            foreach (var kept in _kept)
                if (await SendAsync(connection, timeout, new ReadOnlySequence<byte>(kept)).ConfigureAwait(false) < 0)
                    return false;
            while (!_ended)
            {
                // Nothing is asked of the instance while the client is slow.
                connection.ClearDeadline();
                if (!_keep && Length - _taken >= BodyRelay.LeastSpliced && _reader is Http1Body { PlainSocket: { } source } plain
                    && connection.PlainSocket is { } target)
                {
                    var spliced = await SpliceAsync(connection, timeout, plain, source, target).ConfigureAwait(false);
                    if (spliced is { } all) return all;
                    if (_ended) break;
                }
                var read = await _reader!.ReadAsync().ConfigureAwait(false);
                var buffer = read.Buffer;
                if (read.IsCanceled)
                {
                    _reader.AdvanceTo(buffer.Start, buffer.Start);
                    if (_stopped) return false;
                    continue;
                }
                if (!buffer.IsEmpty)
                {
                    _taken += buffer.Length;
                    _ending = _taken == Length;
                    Keep(buffer);
                    var sent = await SendAsync(connection, timeout, buffer).ConfigureAwait(false);
                    _reader.AdvanceTo(buffer.End);
                    if (sent < 0) return false;
                }
                else
                {
                    _reader.AdvanceTo(buffer.End);
                }
                _ended = read.IsCompleted;
                if (_stopped && !_ended) return false;
            }
            _ending = true;
            Arm(connection, timeout);
            return Length >= 0 || await SendEndAsync(connection).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // The client's body is broken or cannot be read any more: the instance must not take it for complete.
            ClientError = e;
            _lost = true;
            connection.Abort();
            return false;
        }
    }

    // From the client's socket to the instance's inside the kernel: all that is still to come. False as for SendAsync; null if the
    // rest is to be sent in another way, or if there is none.
    private async ValueTask<bool?> SpliceAsync(
        UpstreamConnection connection, TimeSpan timeout, Http1Body body, LoopSocket source, LoopSocket target)
    {
        if (source.Loop.Pipes.TryTake() is not { } pipe) return null;
        var turn = new LoopTurn();
        _lost = true;
        try
        {
            while (!_ended)
            {
                connection.ClearDeadline();
                if (!source.MayReceive)
                {
                    turn.Waited();
                    if (!await body.WaitAsync().ConfigureAwait(false))
                    {
                        if (_stopped) return false;
                        continue;
                    }
                }
                var received = source.SpliceTo(pipe, (int)Math.Min(body.Left, MostSpliced));
                if (received == LoopSocket.WouldBlock) continue;
                // What it is shows in a read; or the kernel does not splice.
                if (received < 0) return null;
                body.Spliced(received);
                _taken += received;
                _ended = _ending = _taken == Length;
                Arm(connection, timeout);
                while (pipe.Count > 0)
                {
                    var sent = target.SpliceFrom(pipe);
                    if (sent == LoopSocket.WouldBlock) await target.WaitWritable().ConfigureAwait(false);
                    else if (sent <= 0) return false;
                }
                await turn.Moved(source.Loop, received).ConfigureAwait(false);
            }
            return null;
        }
        finally
        {
            source.Loop.Pipes.GiveBack(pipe);
        }
    }

    // The last chunk, and the trailers if there are any (RFC 9112 section 7.1.2). False when the instance does not take it.
    private async ValueTask<bool> SendEndAsync(UpstreamConnection connection)
    {
        if (_exchange!.Trailers is not { Count: > 0 } fields)
            return await connection.SendAsync(LastChunk).ConfigureAwait(false) >= 0;
        var writer = new RequestWriter();
        try
        {
            writer.Raw("0\r\n"u8);
            foreach (var (name, value) in fields) writer.Field(name, value);
            writer.End();
            if (!writer.IsValid) throw new BadHttpRequestException("Bad trailer field.", StatusCodes.Status400BadRequest);
            return await connection.SendAsync(writer.Written).ConfigureAwait(false) >= 0;
        }
        finally
        {
            writer.Release();
        }
    }

    private ValueTask<int> SendAsync(UpstreamConnection connection, TimeSpan timeout, ReadOnlySequence<byte> bytes)
    {
        _segments.Clear();
        if (Length < 0) AddChunkSize(bytes.Length);
        foreach (var memory in bytes)
        {
            if (memory.IsEmpty) continue;
            // All blocks are arrays.
            MemoryMarshal.TryGetArray(memory, out var segment);
            _segments.Add(segment);
        }
        if (Length < 0) _segments.Add(LineEnd);
        Arm(connection, timeout);
        return _segments.Count == 1 ? connection.SendAsync(_segments[0]) : connection.SendAsync(_segments);
    }

    private void Arm(UpstreamConnection connection, TimeSpan timeout)
    {
        if (_answered) return;
        connection.SetDeadline(timeout);
        // Race window: the answer may have come between the check and the deadline.
        if (_answered) connection.ClearDeadline();
    }

    private void AddChunkSize(long size)
    {
        Utf8Formatter.TryFormat(size, _chunkSize, out var length, 'x');
        _chunkSize[length++] = (byte)'\r';
        _chunkSize[length++] = (byte)'\n';
        _segments.Add(new ArraySegment<byte>(_chunkSize, 0, length));
    }

    private void Keep(ReadOnlySequence<byte> bytes)
    {
        if (_lost) return;
        if (!_keep || KeptBytes + bytes.Length > RetryRule.MaxKeptBody)
        {
            _lost = true;
            foreach (var kept in _kept) BufferPool.Shared.Return(kept.Array!);
            _kept.Clear();
            KeptBytes = 0;
            return;
        }
        var length = (int)bytes.Length;
        var copy = BufferPool.Shared.Rent(length);
        bytes.CopyTo(copy);
        _kept.Add(new ArraySegment<byte>(copy, 0, length));
        KeptBytes += length;
    }
}
