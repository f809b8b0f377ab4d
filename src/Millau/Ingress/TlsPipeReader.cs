using System.Buffers;
using System.IO.Pipelines;
using System.Net.Security;
using System.Runtime.CompilerServices;
using Millau.Async;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>
/// What a client says in TLS. Waits for whole records in the connection's own pipe, and only then asks SslStream, which has them at once:
/// so its waiting, and the buffers and states that go with it, are the transport's, and an idle connection holds nothing.
/// </summary>
/// <param name="tls">Reads from <paramref name="records"/>.</param>
/// <param name="records">Reads from <paramref name="carrier"/>.</param>
/// <param name="carrier">The connection's own.</param>
/// <param name="pool">Its blocks hold the content of a record at least, 16 KB.</param>
/// <remarks>
/// Concurrency: one reader, as for every <see cref="PipeReader"/>; <see cref="CancelPendingRead"/> from anywhere. It wakes the reader of the
/// carrier; whether a read was meant is said here, for that one may have been none of the user's.
/// </remarks>
internal sealed class TlsPipeReader(SslStream tls, RecordStream records, PipeReader carrier, MemoryPool<byte> pool) : PipeReader
{
    private const int MostInRecord = 16 * 1024;

    private ReceivedBytes _received = new(pool);
    private bool _ended;
    private IOException? _failure;
    private volatile bool _completed;
    private int _cancelNext;

    public override bool TryRead(out ReadResult result)
    {
        var cancelled = TakeCancel();
        result = Result(cancelled);
        return cancelled || IsAnswerable;
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_completed, this);
        cancellationToken.ThrowIfCancellationRequested();
        var cancelled = TakeCancel();
        return cancelled || IsAnswerable ? new(Result(cancelled)) : ReceiveAsync(cancellationToken);
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined) => _received.AdvanceTo(consumed, examined);

    public override void CancelPendingRead()
    {
        Volatile.Write(ref _cancelNext, 1);
        carrier.CancelPendingRead();
    }

    public override void Complete(Exception? exception = null)
    {
        _completed = true;
        _received.Clear();
    }

    private bool IsAnswerable => !_received.AllExamined || _ended;

    private ReadResult Result(bool cancelled) => new(_received.All, cancelled, _ended);

    private bool TakeCancel() => Volatile.Read(ref _cancelNext) != 0 && Interlocked.Exchange(ref _cancelNext, 0) != 0;

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private async ValueTask<ReadResult> ReceiveAsync(CancellationToken cancellation)
    {
        while (!IsAnswerable)
        {
            if (_failure is not null) throw _failure;
            if (records.IsReady)
            {
                await DecryptAsync(cancellation).ConfigureAwait(false);
            }
            else
            {
                var read = await carrier.ReadAsync(cancellation).ConfigureAwait(false);
                ObjectDisposedException.ThrowIf(_completed, this);
                // What has come is given before the cancel is told of: a request that is there is answered also when the server stops.
                if (records.Look(read)) continue;
            }
            if (!IsAnswerable && TakeCancel()) return Result(cancelled: true);
        }
        return Result(cancelled: false);
    }

    // All records that are there, as far as the block has room for them.
    [AsyncMethodBuilder(typeof(KeptMethodBuilder))]
    private async ValueTask DecryptAsync(CancellationToken cancellation)
    {
        var room = _received.GetRoom(MostInRecord);
        var total = 0;
        try
        {
            do
            {
                var count = await tls.ReadAsync(room[total..], cancellation).ConfigureAwait(false);
                _ended = count == 0;
                total += count;
            }
            while (!_ended && room.Length - total >= MostInRecord && records.TryLook());
        }
        catch (IOException) when (records.TakeInterrupted())
        {
            // It waited inside, behind what was no data. Nothing is lost by that.
        }
        catch (IOException e) when (total > 0)
        {
            // What came before is good.
            _failure = e;
        }
        finally
        {
            _received.Add(total);
        }
    }
}
