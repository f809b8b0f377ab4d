using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Millau.Async;

namespace Millau.Ingress;

/// <summary>A connection's two pipes as the stream that <see cref="System.Net.Security.SslStream"/> wants. Owns neither.</summary>
/// <remarks>Concurrency: one reader and one writer at a time.</remarks>
internal sealed class DuplexStream(IDuplexPipe pipes) : AsyncStream
{
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = pipes.Input.ReadAsync(cancellationToken);
        return read.IsCompletedSuccessfully ? new(Take(read.Result, buffer.Span)) : WaitAsync(read, buffer);
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private async ValueTask<int> WaitAsync(ValueTask<ReadResult> read, Memory<byte> buffer) =>
        Take(await read.ConfigureAwait(false), buffer.Span);

    // An empty buffer asks only whether there is something.
    private int Take(ReadResult read, Span<byte> buffer)
    {
        var bytes = read.Buffer.Length > buffer.Length ? read.Buffer.Slice(0, buffer.Length) : read.Buffer;
        bytes.CopyTo(buffer);
        var count = (int)bytes.Length;
        pipes.Input.AdvanceTo(bytes.End);
        return count;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        pipes.Output.Write(buffer.Span);
        var flush = pipes.Output.FlushAsync(cancellationToken);
        return flush.IsCompletedSuccessfully ? Check(flush.Result) : WaitAsync(flush);
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder))]
    private static async ValueTask WaitAsync(ValueTask<FlushResult> flush) =>
        await Check(await flush.ConfigureAwait(false)).ConfigureAwait(false);

    private static ValueTask Check(FlushResult result) =>
        result.IsCompleted ? ValueTask.FromException(new IOException("the connection failed")) : default;
}
