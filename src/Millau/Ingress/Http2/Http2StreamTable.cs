using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Millau.Http2;

namespace Millau.Ingress.Http2;

/// <summary>
/// The streams of a connection: those that are open, the requests that are being handled, which may last longer than their streams,
/// and objects for further ones.
/// </summary>
/// <remarks>
/// Concurrency: what is said to be guarded is so by the connection's gate; <see cref="StartAll"/> is of the reading alone.
/// An object has as many users as know it: the table, its handler, the sender's queue, whoever is about to tell it something. It
/// serves another stream when the last of them has let go.
/// </remarks>
internal sealed class Http2StreamTable(Http2Connection connection, HttpService service)
{
    // Streams that were reset from this side, lately: what was under way for them then is no fault of the client's.
    private const int MostResets = 256;

    // A connection that had many streams at once is not to hold their objects for as long as it lasts.
    private const int MostFree = 32;

    private readonly Dictionary<int, Http2Exchange> _open = [];
    private readonly Stack<Http2Exchange> _free = new();
    private readonly List<Http2Exchange> _begun = [];
    private readonly Queue<int> _resets = new();
    private int _handled;
    private TaskCompletionSource? _whenHandled;

    /// <summary>Guarded: the streams that are open.</summary>
    public Dictionary<int, Http2Exchange>.ValueCollection Open => _open.Values;

    /// <summary>Guarded: how many.</summary>
    public int Count => _open.Count;

    /// <summary>Guarded: the last stream that was opened, also if it was refused.</summary>
    public int LastSeen { get; set; }

    /// <summary>Guarded: the last stream whose request was taken.</summary>
    public int LastTaken { get; private set; }

    /// <summary>Guarded: since when no stream is open.</summary>
    public long IdleSince { get; set; }

    /// <summary>Guarded: no more streams may be open, or requests of streams that are gone be handled still.</summary>
    public bool IsFull => _open.Count >= service.Limits.Streams || _handled >= 2 * service.Limits.Streams;

    /// <summary>Guarded: null if it is not open.</summary>
    public Http2Exchange? Find(int id) => _open.GetValueOrDefault(id);

    /// <summary>Guarded: this side has reset it, not long ago.</summary>
    public bool WasReset(int id) => _resets.Contains(id);

    /// <summary>Guarded: an object for a stream. Either <see cref="Add"/> or <see cref="GiveBack"/> follows.</summary>
    public Http2Exchange Rent() => _free.TryPop(out var exchange) ? exchange : new Http2Exchange(connection, connection.Peer);

    /// <summary>Guarded: there is no stream for it.</summary>
    public void GiveBack(Http2Exchange exchange)
    {
        exchange.Recycle();
        if (_free.Count < MostFree) _free.Push(exchange);
    }

    /// <summary>Guarded: a stream is open; <see cref="StartAll"/> has it handled.</summary>
    public void Add(Http2Exchange exchange)
    {
        exchange.Users = 2;
        exchange.Window = new SendWindow(connection.Output.StreamWindow);
        exchange.Granted = new ReceiveWindow(Http2Limits.StreamWindow);
        LastTaken = exchange.Id;
        _open.Add(exchange.Id, exchange);
        _handled++;
        _begun.Add(exchange);
    }

    /// <summary>Has the requests handled that have come since the last call, each up to its first wait.</summary>
    public void StartAll()
    {
        // By index: it is looked at by nobody else, but an answer may come at once.
        for (var i = 0; i < _begun.Count; i++)
        {
            var exchange = _begun[i];
            if (exchange.IsReset) Forget(exchange);
            else Handle(exchange);
        }
        _begun.Clear();
    }

    /// <summary>The handler of a request is done, one way or the other.</summary>
    public void OnHandled(Http2Exchange exchange)
    {
        try
        {
            try
            {
                exchange.Handling.GetAwaiter().GetResult();
            }
            finally
            {
                exchange.Handling = default;
            }
            if (exchange.HasStarted) exchange.EndBody(null);
            else Answer(exchange, StatusCodes.Status500InternalServerError);
        }
        catch (Exception e)
        {
            OnFailed(exchange, e);
        }
        Forget(exchange);
    }

    /// <summary>Guarded: all of an answer is written.</summary>
    public bool End(Http2Exchange exchange)
    {
        exchange.IsOver = true;
        // RFC 9113 section 8.1: no error, but send no more of the request.
        if (!exchange.HasClientEnded) WriteReset(exchange.Id, ErrorCode.NoError);
        Remove(exchange);
        return connection.Output.Request();
    }

    /// <summary>Who reads the rest of a request whose answer is over is told that nothing comes.</summary>
    public static void TellEnded(Http2Exchange exchange)
    {
        if (!exchange.HasClientEnded) exchange.RequestBody.Fail(new IOException("The stream is over."));
    }

    /// <summary>Guarded: says that a stream is over.</summary>
    public void WriteReset(int id, ErrorCode reason)
    {
        connection.Output.Pending.Reset(id, reason);
        if (_resets.Count == MostResets) _resets.Dequeue();
        _resets.Enqueue(id);
    }

    /// <summary>Guarded: breaks a stream off. The caller then calls <see cref="TellBroken"/> if this returns true.</summary>
    /// <param name="exchange">The stream's.</param>
    /// <param name="reason">What the client is told; null if it knows.</param>
    public bool TryBreak(Http2Exchange exchange, ErrorCode? reason)
    {
        if (exchange.IsOver) return false;
        if (reason is { } code) WriteReset(exchange.Id, code);
        exchange.IsOver = exchange.IsReset = true;
        exchange.Users++;
        Http2Turns.Drop(exchange);
        Remove(exchange);
        return true;
    }

    /// <summary>Ends the waiting for a stream that was broken off.</summary>
    /// <param name="exchange">The stream's.</param>
    /// <param name="failure">For whoever reads its body.</param>
    /// <param name="gone">Say to its handler that nobody wants an answer.</param>
    public void TellBroken(Http2Exchange exchange, Exception failure, bool gone)
    {
        bool awaited;
        lock (connection.Gate)
        {
            awaited = exchange.IsFlushAwaited;
            exchange.IsFlushAwaited = false;
        }
        // Before those who wait find out why.
        if (gone) exchange.SayGone();
        if (awaited) exchange.Flushed(false);
        exchange.RequestBody.Fail(failure);
        lock (connection.Gate) Release(exchange);
    }

    /// <summary>The handler breaks off.</summary>
    public void Abort(Http2Exchange exchange, ErrorCode reason)
    {
        bool must;
        lock (connection.Gate)
        {
            if (!TryBreak(exchange, reason)) return;
            must = connection.Output.Request();
        }
        TellBroken(exchange, new IOException("The stream was broken off."), gone: false);
        if (must) connection.Output.Start();
    }

    /// <summary>The bytes of a stream that were taken are sent, or never will be.</summary>
    public void TellSent(Http2Exchange exchange, bool sent)
    {
        bool awaited;
        lock (connection.Gate)
        {
            awaited = exchange.IsFlushAwaited;
            exchange.IsFlushAwaited = false;
        }
        if (awaited) exchange.Flushed(sent);
        else if (exchange.IsOver) TellEnded(exchange);
        lock (connection.Gate) Release(exchange);
    }

    /// <summary>The connection is at its end: all streams are.</summary>
    public void BreakAll(Exception failure)
    {
        var all = new List<Http2Exchange>();
        lock (connection.Gate)
        {
            all.AddRange(_open.Values);
            foreach (var exchange in all) TryBreak(exchange, null);
        }
        foreach (var exchange in all) TellBroken(exchange, failure, gone: true);
        // Those that were not begun to be handled never will be.
        StartAll();
    }

    /// <summary>Is over when no request is handled any more.</summary>
    public Task WhenHandledAsync()
    {
        lock (connection.Gate)
        {
            if (_handled == 0) return Task.CompletedTask;
            _whenHandled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _whenHandled.Task;
        }
    }

    /// <summary>Guarded: a user has let go.</summary>
    public void Release(Http2Exchange exchange)
    {
        if (--exchange.Users == 0) GiveBack(exchange);
    }

    private void Remove(Http2Exchange exchange)
    {
        _open.Remove(exchange.Id);
        Release(exchange);
        if (_open.Count == 0) IdleSince = connection.Now;
    }

    private void Handle(Http2Exchange exchange)
    {
        try
        {
            exchange.Handling = service.Handler.HandleAsync(exchange);
        }
        catch (Exception e)
        {
            exchange.Handling = ValueTask.FromException(e);
        }
        var awaiter = exchange.Handling.ConfigureAwait(false).GetAwaiter();
        if (awaiter.IsCompleted) OnHandled(exchange);
        else awaiter.UnsafeOnCompleted(exchange.Handled);
    }

    private void OnFailed(Http2Exchange exchange, Exception failure)
    {
        if (exchange.IsOver) return;
        if (failure is not (BadHttpRequestException or ConnectionAbortedException or ConnectionResetException))
            Log.RequestFailed(service.Logger, failure, exchange.Method, exchange.Fields.Text(Millau.Http1.FieldName.Host) ?? "");
        if (exchange.HasStarted) exchange.Abort();
        else Answer(exchange, failure is BadHttpRequestException bad ? bad.StatusCode : StatusCodes.Status500InternalServerError);
    }

    private static void Answer(Http2Exchange exchange, int status)
    {
        exchange.BeginHead(status);
        exchange.EndHead(length: 0, hasBody: false);
    }

    private void Forget(Http2Exchange exchange)
    {
        exchange.RequestBody.Complete();
        lock (connection.Gate)
        {
            if (--_handled == 0) _whenHandled?.TrySetResult();
            Release(exchange);
        }
    }
}
