using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Millau.Http2;
using Millau.Memory;

namespace Millau.Ingress.Http2;

/// <summary>
/// A client's connection that speaks HTTP/2 (RFC 9113): one loop reads its frames and has the requests handled, which answer from
/// whichever thread they are on.
/// </summary>
/// <remarks>
/// Concurrency: the streams, the windows and what is to be sent are guarded by <see cref="Gate"/>. It is held briefly: not across a
/// wait, nor while a handler, a callback or a pipe's flush is called.
/// </remarks>
internal sealed class Http2Connection : HttpConnection
{
    // Reads that were answered at once before others of the thread have a turn, and before what they brought is set in motion.
    private const int MostReadsInTurn = 16;

    private readonly PipeReader _input;
    private readonly Http2Input _frames;
    private readonly Http2Watch _watch;
    private readonly SlowReader _slow;
    private volatile bool _closing;
    private bool _outputFailed;

    public Http2Connection(ConnectionContext connection, HttpService service) : base(connection, service)
    {
        _input = connection.Transport.Input;
        _slow = new SlowReader(connection, service.Limits.Reader, service.Clock);
        Output = new Http2Output(this, connection.Transport.Output, Client.Loop, _slow, service.Limits.Reader);
        Streams = new Http2StreamTable(this, service);
        _frames = new Http2Input(this, isSecure: Client.Tls is not null);
        _watch = new Http2Watch(this, service.Limits);
    }

    /// <summary>The buffers of all streams.</summary>
    public static MemoryPool<byte> Blocks { get; } = new BlockMemoryPool(16 * 1024, BufferLedger.Shared);

    public Lock Gate { get; } = new();

    public Http2Output Output { get; }

    public Http2StreamTable Streams { get; }

    public ClientPeer Peer => Client;

    /// <summary>The clock of all timeouts, in milliseconds.</summary>
    public long Now => Service.Clock.Now;

    /// <summary>The value of Date fields.</summary>
    public ReadOnlySpan<byte> Date => Service.Clock.Date;

    public override async Task RunAsync()
    {
        var reason = ErrorCode.NoError;
        var gone = false;
        try
        {
            lock (Gate)
            {
                Output.Cork();
                Output.Pending.Settings(Service.Limits.Streams);
            }
            reason = await ReadAsync().ConfigureAwait(false);
            gone = reason == ErrorCode.NoError && !_closing;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            gone = true;
        }
        catch (Exception e)
        {
            Log.ConnectionFailed(Service.Logger, e);
            reason = ErrorCode.InternalError;
        }
        await EndAsync(reason, gone || _outputFailed).ConfigureAwait(false);
    }

    public override void Tick(long now)
    {
        _slow.Tick(now);
        switch (_watch.Look(now, _frames))
        {
            case Http2Verdict.Close:
                Close();
                break;
            case Http2Verdict.Cut:
                Connection.Abort(new ConnectionAbortedException("The client is too slow."));
                break;
        }
        Flush();
    }

    public override void RequestClose()
    {
        bool idle;
        lock (Gate)
        {
            idle = Streams.Count == 0;
            // In the same moment: what comes after it is refused, and may be sent again elsewhere.
            if (idle) _watch.Leave();
        }
        if (idle) Close();
        else AskToLeave();
    }

    /// <summary>Tells the client to open no more streams here (RFC 9113 section 6.8). Those on their way are still taken.</summary>
    public void AskToLeave()
    {
        lock (Gate)
        {
            if (!_watch.TryLeave(Now)) return;
        }
        Flush();
    }

    /// <summary>A PING of this side was answered.</summary>
    public void OnPong(ReadOnlySpan<byte> data)
    {
        lock (Gate) _watch.OnPong(data);
    }

    /// <summary>New streams are refused: the client was told which was the last.</summary>
    public bool IsLeaving => _watch.HasLeft;

    /// <summary>Guarded: the client has left, and all that it had is done. The connection is to be closed.</summary>
    public bool IsOver => _watch.IsOver;

    /// <summary>Ends the connection in order.</summary>
    public void Close()
    {
        _closing = true;
        _input.CancelPendingRead();
    }

    /// <summary>The transport takes nothing any more.</summary>
    public void OnOutputFailed()
    {
        _outputFailed = true;
        Close();
    }

    /// <summary>Bytes of a request's body need no room any more: the client may send as many.</summary>
    /// <param name="exchange">The stream's; null if it has none.</param>
    /// <param name="bytes">So many.</param>
    public void Grant(Http2Exchange? exchange, int bytes)
    {
        bool must;
        lock (Gate) must = _frames.Release(exchange, bytes) && Output.Request();
        if (must) Output.Start();
    }

    private void Flush()
    {
        bool must;
        lock (Gate) must = Output.Pending.Length > 0 && Output.Request();
        if (must) Output.Start();
    }

    // NoError when the client has gone, or was to go.
    private async Task<ErrorCode> ReadAsync()
    {
        for (var turn = 1; ; turn++)
        {
            var reading = _input.ReadAsync();
            if (!reading.IsCompleted || turn >= MostReadsInTurn)
            {
                var yields = reading.IsCompleted;
                turn = 0;
                SetInMotion();
                if (yields) await Task.Yield();
            }
            var read = await reading.ConfigureAwait(false);
            if (_closing) return ErrorCode.NoError;
            if (turn == 0)
            {
                lock (Gate) Output.Cork();
            }
            var buffer = read.Buffer;
            if (!buffer.IsEmpty) _watch.OnReceived(Now);
            var error = _frames.Take(ref buffer);
            _input.AdvanceTo(buffer.Start, buffer.End);
            if (error != ErrorCode.NoError) return error;
            if (read.IsCompleted) return ErrorCode.NoError;
            bool full;
            lock (Gate) full = Output.IsFull;
            if (!full) continue;
            // Who asks on and on and does not hear the answers has to wait.
            turn = 0;
            SetInMotion();
            await Output.WhenRoomAsync().ConfigureAwait(false);
            if (_closing) return ErrorCode.NoError;
            lock (Gate) Output.Cork();
        }
    }

    private void SetInMotion()
    {
        _frames.WakeBodies();
        Streams.StartAll();
        bool must;
        bool over;
        lock (Gate)
        {
            must = Output.Uncork();
            over = !must && _watch.IsOver;
        }
        if (must) Output.Start();
        if (over) Close();
    }

    private async Task EndAsync(ErrorCode reason, bool gone)
    {
        bool must;
        lock (Gate)
        {
            _watch.OnEnding(Now);
            if (!gone && (!_watch.HasLeft || reason != ErrorCode.NoError)) Output.Pending.GoAway(Streams.LastTaken, reason);
            if (gone) Output.Close();
            must = Output.Uncork();
        }
        _frames.WakeBodies();
        Streams.BreakAll(new ConnectionResetException("The client's connection is over."));
        if (must) Output.Start();
        await Output.WhenSentAsync().ConfigureAwait(false);
        await Streams.WhenHandledAsync().ConfigureAwait(false);
        lock (Gate) Output.Close();
        _frames.Dispose();
    }
}
