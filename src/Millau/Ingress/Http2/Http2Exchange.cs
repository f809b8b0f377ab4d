using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;
using Millau.Http2;

namespace Millau.Ingress.Http2;

/// <summary>One stream of an HTTP/2 connection with its request and answer. Serves another stream when this one is over.</summary>
/// <remarks>
/// Concurrency: as for <see cref="Exchange"/>. What is said to be guarded is so by the connection's <see cref="Http2Connection.Gate"/>,
/// which is not held while anything outside of this folder is called.
/// </remarks>
internal sealed class Http2Exchange : Exchange, IValueTaskSource<bool>
{
    private readonly Http2Connection _connection;
    private readonly Http2AnswerHead _head = new();
    private ManualResetValueTaskSourceCore<bool> _flush;
    private List<(string Name, string Value)>? _trailers;
    private long _declared;
    private long _written;
    private bool _mayHaveTrailers;
    private bool _mustContinue;
    private volatile bool _isOver;

    public Http2Exchange(Http2Connection connection, ClientPeer client) : base(client)
    {
        _connection = connection;
        RequestBody = new Http2RequestBody(this, Http2Connection.Blocks);
        Unsent = new Http2Unsent(Http2Connection.Blocks);
        Handled = () => _connection.Streams.OnHandled(this);
        Version = HttpVersion.Http2;
    }

    /// <summary>Number of the stream.</summary>
    public int Id { get; private set; }

    /// <summary>The request's data.</summary>
    public Http2RequestBody RequestBody { get; }

    /// <summary>What waits for the handler.</summary>
    public Action Handled { get; }

    /// <summary>What the handler has not yet done; used by <see cref="Http2StreamTable"/>.</summary>
    public ValueTask Handling { get; set; }

    /// <summary>Guarded: who still uses the object. It serves another stream when there are none.</summary>
    public int Users { get; set; }

    /// <summary>Guarded: what the client may take. A field, for the calls change it.</summary>
    public SendWindow Window;

    /// <summary>Guarded: what the client may send. A field, for the calls change it.</summary>
    public ReceiveWindow Granted;

    /// <summary>Guarded: bytes of the request's body so far.</summary>
    public long Received { get; set; }

    /// <summary>Guarded: the client has ended its side.</summary>
    public bool HasClientEnded { get; set; }

    /// <summary>Guarded: all of the answer was handed to be sent.</summary>
    public bool IsEnded { get; private set; }

    /// <summary>Guarded: <see cref="Unsent"/> is the sender's.</summary>
    public bool IsSending { get; set; }

    /// <summary>Guarded: it waits for its turn to send.</summary>
    public bool IsQueued { get; set; }

    /// <summary>Guarded: it is among those that are woken when the reading pauses.</summary>
    public bool HasNews { get; set; }

    /// <summary>
    /// Guarded: when the client must have made room for what is to be sent, once it had none; 0 before. In milliseconds.
    /// </summary>
    public long RoomDue { get; set; }

    /// <summary>Guarded: the flush is waited for, and nobody has ended the wait yet.</summary>
    public bool IsFlushAwaited { get; set; }

    /// <summary>Guarded: the final head was written.</summary>
    public bool HasHead { get; private set; }

    /// <summary>Nothing is sent any more: the stream was ended or reset. Set under the lock.</summary>
    public bool IsOver
    {
        get => _isOver;
        set => _isOver = value;
    }

    /// <summary>It was not ended but reset, by either side, or with its connection. Set under the lock.</summary>
    public bool IsReset { get; set; }

    /// <summary>The body's bytes that were written and not sent. A field, for the calls change it.</summary>
    public Http2Unsent Unsent;

    /// <summary>Guarded: what comes behind the body.</summary>
    public List<(string Name, string Value)>? AnswerTrailers => _trailers;

    /// <summary>Trailer fields of the request.</summary>
    public List<(string Name, string Value)>? RequestTrailers { get; set; }

    public override List<(string Name, string Value)>? Trailers => RequestTrailers;

    public override PipeReader Body => RequestBody;

    public override bool TakesPlainBody => true;

    /// <summary>The clock of all timeouts, in milliseconds.</summary>
    public long Now => _connection.Now;

    /// <summary>Becomes the object of a stream. Its fields are there already.</summary>
    public void Begin(int id, in Http2RequestHead head, string scheme, bool ended)
    {
        Id = id;
        Method = head.Method;
        Target = head.Target;
        ConnectProtocol = head.Protocol;
        Scheme = scheme;
        ContentLength = head.ContentLength;
        // What follows a CONNECT is no body but goes through the tunnel.
        HasBody = !ended && head.Method != "CONNECT" && ContentLength != 0;
        _mustContinue = head.ExpectsContinue && HasBody;
        HasClientEnded = ended;
        RequestBody.Begin(ended);
        Revive();
        _isOver = false;
    }

    /// <summary>Forgets all of its stream. Guarded.</summary>
    public void Recycle()
    {
        Reset();
        Unsent.Release();
        _head.Release();
        RequestTrailers = _trailers = null;
        Received = 0;
        HasClientEnded = IsEnded = IsSending = IsQueued = HasNews = HasHead = IsReset = IsFlushAwaited = _mustContinue = false;
        // Until it serves another stream, so that who still knows it leaves it alone.
        _isOver = true;
    }

    public override void BeginHead(int status, ReadOnlySpan<byte> reason = default) => _head.Begin(status);

    public override void Field(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value) => _head.Add(name, value);

    public override void EndHead(long length, bool hasBody, bool trailers = false)
    {
        var final = _head.Status >= 200;
        var ends = final && (!hasBody || (length == 0 && !trailers));
        // An interim head is said at once; a final one goes with what follows it.
        var must = false;
        lock (_connection.Gate)
        {
            if (!_isOver && !HasHead)
            {
                _connection.Output.WriteHead(Id, _head, length, ends);
                HasHead = final;
                if (ends) IsEnded = true;
                if (ends) must = _connection.Streams.End(this);
                else if (!final) must = _connection.Output.Request();
            }
        }
        if (final)
        {
            Status = _head.Status;
            _declared = hasBody ? length : -1;
            _written = 0;
            _mayHaveTrailers = trailers;
        }
        _head.Release();
        if (must) _connection.Output.Start();
        if (ends) Http2StreamTable.TellEnded(this);
    }

    public override Memory<byte> GetMemory(int atLeast) => Unsent.GetMemory(atLeast);

    public override void Advance(int count)
    {
        Unsent.Advance(count);
        _written += count;
    }

    public override void Write(ReadOnlySpan<byte> bytes)
    {
        if (_isOver) return;
        Unsent.Write(bytes);
        _written += bytes.Length;
    }

    public override ValueTask<bool> FlushAsync()
    {
        bool must;
        ValueTask<bool> flushed = new(true);
        lock (_connection.Gate)
        {
            if (_isOver)
            {
                if (!IsSending) Unsent.Release();
                return new(!IsReset);
            }
            if (Unsent.Length == 0)
            {
                must = _connection.Output.Request();
            }
            else
            {
                IsFlushAwaited = true;
                _flush.Reset();
                flushed = new ValueTask<bool>(this, _flush.Version);
                must = _connection.Output.Enqueue(this);
            }
        }
        if (must) _connection.Output.Start();
        return flushed;
    }

    public override void EndBody(List<(string Name, string Value)>? trailers)
    {
        if (!HasStarted || _isOver) return;
        if (_declared >= 0 && _written != _declared)
        {
            // Half an answer is not to look like a whole.
            Abort();
            return;
        }
        bool must;
        lock (_connection.Gate)
        {
            if (_isOver || IsEnded) return;
            IsEnded = true;
            if (_mayHaveTrailers && trailers is { Count: > 0 }) _trailers = trailers;
            must = _connection.Output.Enqueue(this);
        }
        if (must) _connection.Output.Start();
    }

    public override void AcceptTunnel()
    {
        bool must;
        lock (_connection.Gate) must = _connection.Output.Request();
        if (must) _connection.Output.Start();
    }

    public override void CloseAfterAnswer()
    {
        // Streams end anyway, and what follows on the connection is not in doubt.
    }

    public override void AskToLeave() => _connection.AskToLeave();

    public override void Abort() => _connection.Streams.Abort(this, ErrorCode.InternalError);

    /// <summary>The body is waited for: a client that waits to be asked for it is asked (RFC 9110 section 10.1.1).</summary>
    public void AskForBody()
    {
        if (!_mustContinue) return;
        var must = false;
        lock (_connection.Gate)
        {
            if (_mustContinue && !_isOver && !HasHead && Received == 0) must = _connection.Output.WriteContinue(Id);
            _mustContinue = false;
        }
        if (must) _connection.Output.Start();
    }

    /// <summary>Bytes of the request's body need no room any more.</summary>
    public void Consumed(int bytes) => _connection.Grant(this, bytes);

    /// <summary>Ends the wait for the flush, of which the caller has taken <see cref="IsFlushAwaited"/>.</summary>
    public void Flushed(bool sent) => _flush.SetResult(sent);

    bool IValueTaskSource<bool>.GetResult(short token) => _flush.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _flush.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _flush.OnCompleted(continuation, state, token, flags);
}
