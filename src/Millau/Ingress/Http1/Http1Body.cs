using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Millau.Async;
using Millau.Http1;
using Millau.Memory;
using Millau.Transport;

namespace Millau.Ingress.Http1;

/// <summary>
/// The body of a request of HTTP/1.1, its framing taken off (RFC 9112 section 6). A body of known length is read straight from the
/// connection's buffers; the data of chunks is gathered into one block, so that small chunks do not become small sends.
/// </summary>
/// <remarks>Concurrency: one reader; <see cref="CancelPendingRead"/> from anywhere.</remarks>
internal sealed class Http1Body(Http1Connection connection, PipeReader input) : PipeReader
{
    // As much as goes on in one call.
    private const int BlockSize = 64 * 1024;

    private Kind _kind;
    private long _left;
    private ReadOnlySequence<byte> _given;
    private ChunkedDecoder _decoder;
    private byte[] _block = [];
    private int _start;
    private int _end;
    private bool _mustContinue;

    private enum Kind : byte
    {
        /// <summary>There is none, or it was read to its end.</summary>
        None,

        Length,
        Chunks,

        /// <summary>No message: all that comes.</summary>
        Tunnel,
    }

    /// <summary>All of it was read and consumed: the next byte of the connection is of the next request.</summary>
    public bool IsAtEnd => _kind == Kind.None && _start == _end;

    /// <summary>The client waits to be told that it may send it (RFC 9110 section 10.1.1), and was not.</summary>
    public bool IsWaitedFor => _mustContinue;

    /// <summary>Whether it has to be asked for, once.</summary>
    public bool TakeContinue()
    {
        var must = _mustContinue;
        _mustContinue = false;
        return must;
    }

    /// <summary>The trailers that may pass, at the end; null for none.</summary>
    public List<(string Name, string Value)>? Trailers { get; private set; }

    public void Begin(RequestFraming framing, bool expectsContinue)
    {
        _kind = !framing.HasBody ? Kind.None : framing.IsChunked ? Kind.Chunks : Kind.Length;
        _left = framing.Length;
        _decoder = default;
        _given = default;
        _start = _end = 0;
        _mustContinue = expectsContinue && framing.HasBody;
        Trailers = null;
    }

    /// <summary>Bytes that are still to come of a body of known length; 0 for any other.</summary>
    public long Left => _kind == Kind.Length ? _left : 0;

    /// <summary>
    /// The client's socket, if what comes of a body of known length may be spliced from it. Null where there is TLS, or no event loop, or
    /// while something of it is held here.
    /// </summary>
    public LoopSocket? PlainSocket => _kind == Kind.Length && !_mustContinue ? (input as LoopPipeReader)?.EmptySocket : null;

    /// <summary>Waits until that socket has something. False if it was cancelled.</summary>
    /// <exception cref="BadHttpRequestException">It came too slowly.</exception>
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    public async ValueTask<bool> WaitAsync()
    {
        connection.BodyWaits();
        var read = await ((LoopPipeReader)input).WaitAsync().ConfigureAwait(false);
        connection.BodyCame(0);
        if (read.IsCanceled && connection.IsTooSlow) throw TooSlow();
        return !read.IsCanceled;
    }

    /// <summary>So many bytes were spliced; 0 is the end of the connection.</summary>
    /// <exception cref="BadHttpRequestException">It ended before the body did.</exception>
    public void Spliced(int bytes)
    {
        if (bytes == 0) throw EndedEarly();
        connection.BodySpliced(bytes);
        _left -= bytes;
        if (_left == 0) _kind = Kind.None;
    }

    /// <summary>From now on all that comes is given as it is.</summary>
    public void BecomeTunnel() => _kind = Kind.Tunnel;

    /// <summary>Gives back what it holds. Idempotent.</summary>
    public void Release()
    {
        if (_block.Length == 0) return;
        BufferPool.Shared.Return(_block);
        _block = [];
        _start = _end = 0;
    }

    public override bool TryRead(out ReadResult result)
    {
        result = default;
        if (_start < _end || _kind == Kind.None)
        {
            result = Decoded();
            return true;
        }
        return !_mustContinue && input.TryRead(out var read) && TryAnswer(read, out result);
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (_start < _end || _kind == Kind.None) return new(Decoded());
        if (_kind == Kind.Tunnel) return input.ReadAsync(cancellationToken);
        while (true)
        {
            var read = input.ReadAsync(CancellationToken.None);
            if (!read.IsCompleted) return WaitAsync(read);
            if (TryAnswer(read.Result, out var result)) return new(result);
        }
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        switch (_kind)
        {
            case Kind.Tunnel:
                input.AdvanceTo(consumed, examined);
                break;
            case Kind.Length:
                _left -= _given.Slice(_given.Start, consumed).Length;
                _given = default;
                input.AdvanceTo(consumed, examined);
                if (_left == 0) _kind = Kind.None;
                break;
            default:
                if (consumed.GetObject() != _block) break;
                _start = consumed.GetInteger();
                // What is not needed to wait is not kept while waiting.
                if (_start == _end) Release();
                break;
        }
    }

    public override void CancelPendingRead() => input.CancelPendingRead();

    public override void Complete(Exception? exception = null) => Release();

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private async ValueTask<ReadResult> WaitAsync(ValueTask<ReadResult> read)
    {
        while (true)
        {
            connection.BodyWaits();
            var got = await read.ConfigureAwait(false);
            connection.BodyCame(got.Buffer.Length);
            if (TryAnswer(got, out var result)) return result;
            read = input.ReadAsync(CancellationToken.None);
        }
    }

    // False if more is needed; then what came was examined.
    private bool TryAnswer(ReadResult read, out ReadResult result)
    {
        if (read.IsCanceled && connection.IsTooSlow)
        {
            input.AdvanceTo(read.Buffer.Start);
            throw TooSlow();
        }
        switch (_kind)
        {
            case Kind.Length:
                var buffer = read.Buffer.Length > _left ? read.Buffer.Slice(0, _left) : read.Buffer;
                var whole = buffer.Length == _left;
                if (read.IsCompleted && !whole && !read.IsCanceled)
                {
                    input.AdvanceTo(read.Buffer.Start);
                    throw EndedEarly();
                }
                _given = buffer;
                result = new ReadResult(buffer, read.IsCanceled, whole);
                return true;
            case Kind.Chunks:
                return TryDecode(read, out result);
            default:
                result = read;
                return true;
        }
    }

    private bool TryDecode(ReadResult read, out ReadResult result)
    {
        if (_block.Length == 0) _block = BufferPool.Shared.Rent(BlockSize);
        _start = _end = 0;
        var rest = read.Buffer;
        while (!rest.IsEmpty && !_decoder.IsDone && _end < _block.Length)
        {
            var piece = rest.FirstSpan;
            if (piece.Length > _block.Length - _end) piece = piece[..(_block.Length - _end)];
            if (!_decoder.TryRead(piece, out var consumed, out var data))
            {
                input.AdvanceTo(rest.Start);
                throw Broken();
            }
            piece.Slice(consumed - data, data).CopyTo(_block.AsSpan(_end));
            _end += data;
            rest = rest.Slice(consumed);
        }
        // Nothing more is examined than was decoded: the rest may be the next request.
        input.AdvanceTo(rest.Start);
        if (_decoder.IsDone)
        {
            _kind = Kind.None;
            if (!Millau.Http1.Trailers.TryRead(_decoder.Trailers, out var trailers)) throw Broken();
            Trailers = trailers;
        }
        else if (_end == 0 && !read.IsCanceled)
        {
            if (read.IsCompleted) throw EndedEarly();
            result = default;
            Release();
            return false;
        }
        result = new ReadResult(Data(), read.IsCanceled, _decoder.IsDone);
        return true;
    }

    private ReadResult Decoded() => new(Data(), isCanceled: false, isCompleted: _kind == Kind.None);

    private ReadOnlySequence<byte> Data() => _start == _end ? ReadOnlySequence<byte>.Empty : new(_block, _start, _end - _start);

    private static BadHttpRequestException TooSlow() => new("The body came too slowly.", StatusCodes.Status408RequestTimeout);

    private static BadHttpRequestException Broken() => new("Bad chunked body.", StatusCodes.Status400BadRequest);

    private static BadHttpRequestException EndedEarly() => new("The body ended too early.", StatusCodes.Status400BadRequest);
}
