using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Millau.Http1;

namespace Millau.Forwarding;

/// <summary>
/// What a client's connection gives to Kestrel, seen on its way. Kestrel reads chunked bodies leniently: an extension may
/// be of any length. So while such a body is read, Millau's own strict decoder runs beside over the same bytes and has to
/// agree. Anything else passes untouched.
/// </summary>
/// <remarks>Concurrency: used by one reader at a time, as any <see cref="PipeReader"/>.</remarks>
internal sealed class ClientInput(PipeReader inner) : PipeReader
{
    private ChunkedDecoder _decoder;
    private bool _watching;
    private ReadOnlySequence<byte> _given;

    /// <summary>Puts itself between a connection and Kestrel. Behind TLS, if there is any.</summary>
    public static ConnectionDelegate Attach(ConnectionDelegate next) => connection =>
    {
        var transport = connection.Transport;
        var input = new ClientInput(transport.Input);
        connection.Transport = new Watched(input, transport.Output);
        connection.Features.Set(input);
        return next(connection);
    };

    /// <summary>The next byte to be consumed is the first one of a chunked body.</summary>
    public void BeginChunked()
    {
        _decoder = default;
        _watching = true;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    /// <inheritdoc/>
    /// <exception cref="BadHttpRequestException">What was consumed is no chunked body.</exception>
    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        var valid = !_watching || Check(_given.Slice(_given.Start, consumed));
        _given = default;
        inner.AdvanceTo(consumed, examined);
        if (!valid) throw new BadHttpRequestException("Bad chunked body.", StatusCodes.Status400BadRequest);
    }

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) =>
        _watching ? ReadWatchedAsync(cancellationToken) : inner.ReadAsync(cancellationToken);

    public override bool TryRead(out ReadResult result)
    {
        if (!inner.TryRead(out result)) return false;
        if (_watching) _given = result.Buffer;
        return true;
    }

    private async ValueTask<ReadResult> ReadWatchedAsync(CancellationToken cancellationToken)
    {
        var result = await inner.ReadAsync(cancellationToken).ConfigureAwait(false);
        _given = result.Buffer;
        return result;
    }

    private bool Check(ReadOnlySequence<byte> bytes)
    {
        foreach (var memory in bytes)
        {
            var rest = memory.Span;
            while (!rest.IsEmpty && !_decoder.IsDone)
            {
                if (!_decoder.TryRead(rest, out var used, out _))
                {
                    _watching = false;
                    return false;
                }
                rest = rest[used..];
            }
        }
        if (_decoder.IsDone) _watching = false;
        return true;
    }

    private sealed class Watched(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;
        public PipeWriter Output => output;
    }
}
