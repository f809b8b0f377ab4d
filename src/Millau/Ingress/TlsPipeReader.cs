using System.Buffers;
using System.IO.Pipelines;
using System.Net.Security;
using System.Threading.Tasks.Sources;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>
/// What a client says in TLS. Waits for whole records in the connection's own pipe, and only then asks SslStream, which has them at once:
/// so its waiting, and the buffers and states that go with it, are the transport's, and an idle connection holds nothing.
/// </summary>
/// <remarks>
/// Concurrency: one reader, as for every <see cref="PipeReader"/>; <see cref="CancelPendingRead"/> from anywhere. It wakes the reader of the
/// carrier; whether a read was meant is said here, for that one may have been none of the user's.
/// </remarks>
internal sealed class TlsPipeReader : PipeReader, IValueTaskSource<ReadResult>
{
    private const int MostInRecord = 16 * 1024;

    private readonly SslStream _tls;
    private readonly RecordStream _records;
    private readonly PipeReader _carrier;
    private readonly Action _goOn;
    private ManualResetValueTaskSourceCore<ReadResult> _source;
    private ReceivedBytes _received;
    private CancellationToken _cancellation;

    // What is waited for: a read of the carrier, for ours; and one of SslStream's, while it asks for more (RecordStream.IsAsked).
    private ValueTask<ReadResult> _carried;
    private ValueTask<int> _decrypting;
    private bool _ended;
    private IOException? _failure;
    private volatile bool _completed;
    private int _cancelNext;

    /// <param name="tls">Reads from <paramref name="records"/>.</param>
    /// <param name="records">Reads from <paramref name="carrier"/>; its handshake is over.</param>
    /// <param name="carrier">The connection's own.</param>
    /// <param name="pool">Its blocks hold the content of a record at least, 16 KB.</param>
    public TlsPipeReader(SslStream tls, RecordStream records, PipeReader carrier, MemoryPool<byte> pool)
    {
        _tls = tls;
        _records = records;
        _carrier = carrier;
        _received = new ReceivedBytes(pool);
        _goOn = GoOn;
    }

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
        if (cancelled || IsAnswerable) return new(Result(cancelled));
        _cancellation = cancellationToken;
        _source.Reset();
        var pending = new ValueTask<ReadResult>(this, _source.Version);
        return TryReceive(out cancelled) ? new(Result(cancelled)) : pending;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined) => _received.AdvanceTo(consumed, examined);

    public override void CancelPendingRead()
    {
        Volatile.Write(ref _cancelNext, 1);
        _carrier.CancelPendingRead();
    }

    public override void Complete(Exception? exception = null)
    {
        _completed = true;
        _received.Clear();
    }

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private bool IsAnswerable => !_received.AllExamined || _ended;

    private ReadResult Result(bool cancelled) => new(_received.All, cancelled, _ended);

    private bool TakeCancel() => Volatile.Read(ref _cancelNext) != 0 && Interlocked.Exchange(ref _cancelNext, 0) != 0;

    // The carrier's read is over.
    private void GoOn()
    {
        bool cancelled;
        try
        {
            Look(_carried);
            if (!TryReceive(out cancelled)) return;
        }
        catch (Exception e)
        {
            _source.SetException(e);
            return;
        }
        _source.SetResult(Result(cancelled));
    }

    // True when there is an answer. Else the carrier is waited for: another thread may go on already, and nothing is to be touched.
    private bool TryReceive(out bool cancelled)
    {
        cancelled = false;
        while (!IsAnswerable)
        {
            if (_failure is not null) throw _failure;
            if (_records.IsReady)
            {
                Decrypt();
                continue;
            }
            // What has come is given before the cancel is told of: a request that is there is answered also when the server stops.
            cancelled = TakeCancel();
            if (cancelled) return true;
            var carried = _carrier.ReadAsync(_cancellation);
            if (!carried.IsCompleted)
            {
                _carried = carried;
                carried.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(_goOn);
                return false;
            }
            Look(carried);
        }
        return true;
    }

    private void Look(in ValueTask<ReadResult> carried)
    {
        var read = carried.GetAwaiter().GetResult();
        ObjectDisposedException.ThrowIf(_completed, this);
        _records.Look(read);
    }

    // All records that are there, as far as the block has room for them.
    private void Decrypt()
    {
        do DecryptOne();
        while (_records.IsReady && !_ended && _failure is null && _received.Room >= MostInRecord);
    }

    private void DecryptOne()
    {
        if (_records.IsAsked) _records.Answer();
        else _decrypting = _tls.ReadAsync(_received.GetRoom(MostInRecord), CancellationToken.None);
        // It was none of the application's: SslStream keeps the room for what comes next, and what came before need not wait for that.
        if (_records.IsAsked) return;
        var count = 0;
        try
        {
            if (!_decrypting.IsCompleted) throw new IOException("SslStream kept its client waiting.");
            count = _decrypting.GetAwaiter().GetResult();
            _ended = count == 0;
        }
        catch (IOException e)
        {
            // What came before is good.
            _failure = e;
        }
        finally
        {
            _received.Add(count);
        }
    }
}
