using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Millau.Async;
using Millau.Http1;
using Millau.Memory;

namespace Millau.Ingress.Http1;

/// <summary>
/// Serves the requests of a connection of HTTP/1.1 one after the other (RFC 9112 section 9): read a head, have it answered, see to it
/// that the next byte is of the next request, or close.
/// </summary>
internal sealed class Http1Connection : HttpConnection
{
    // What is left of a body that nobody wanted is read over, up to this; beyond, a new connection is cheaper.
    private const int MostUnwanted = 256 * 1024;
    private static readonly TimeSpan UnwantedTime = TimeSpan.FromSeconds(5);

    private readonly PipeReader _input;
    private readonly PipeWriter _output;
    private readonly Http1Exchange _exchange;
    private readonly Deadline _reading = new();
    private readonly SlowReader _slowReader;
    private volatile bool _closeRequested;
    private TimeSpan _bodyPatience;
    private long _bodyBegan;
    private long _bodyWaited;
    private long _bodyBytes;

    public Http1Connection(ConnectionContext connection, HttpService service) : base(connection, service)
    {
        _input = connection.Transport.Input;
        _output = connection.Transport.Output;
        _exchange = new Http1Exchange(this, connection, Client);
        _slowReader = new SlowReader(connection, service.Limits.Reader, service.Clock);
    }

    /// <summary>The value of <c>Date</c> fields now.</summary>
    public ReadOnlySpan<byte> Date => Service.Clock.Date;

    /// <summary>No request is to follow.</summary>
    public bool IsClosing => _closeRequested;

    /// <summary>What was to be read did not come in its time.</summary>
    public bool IsTooSlow => _reading.HasPassed;

    public override async Task RunAsync()
    {
        using var gone = Connection.ConnectionClosed.UnsafeRegister(static exchange => ((Exchange)exchange!).SayGone(), _exchange);
        try
        {
            while (true)
            {
                _reading.Set(Service.Clock.Now + (long)Service.Limits.Idle.TotalMilliseconds);
                var read = await _input.ReadAsync().ConfigureAwait(false);
                if (!await TakeHeadAsync(read).ConfigureAwait(false)) return;
                var length = _exchange.Fields.Bytes.Length;
                await Service.Handler.HandleAsync(_exchange).ConfigureAwait(false);
                if (!await EndAsync().ConfigureAwait(false)) return;
                // Requests that come one behind the other, and are answered at once, leave no time to others.
                await _exchange.Moved(length).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is ConnectionAbortedException or ConnectionResetException or IOException or OperationCanceledException)
        {
            // The client went, or was cut off.
        }
        catch (Exception e)
        {
            Log.ConnectionFailed(Service.Logger, e);
            _exchange.Abort();
        }
        finally
        {
            _exchange.End();
        }
    }

    public override void Tick(long now)
    {
        if (_reading.TryPass(now)) _input.CancelPendingRead();
        _slowReader.Tick(now);
    }

    public override void RequestClose()
    {
        _closeRequested = true;
        // Ends the wait for a next request, if that is what it does.
        _input.CancelPendingRead();
    }

    /// <summary>The body of the request is waited for from now on.</summary>
    public void BodyWaits()
    {
        _bodyBegan = Service.Clock.Now;
        // All its waits together may last so long, and a second more for each byte.
        _reading.Set(_bodyBegan + (long)_bodyPatience.TotalMilliseconds + _bodyBytes * 1000 - _bodyWaited);
    }

    /// <summary>Some of it is there, or its end, or the wait was cancelled.</summary>
    public void BodyCame(long bytes)
    {
        if (!_reading.TryClear()) return;
        _bodyWaited += Service.Clock.Now - _bodyBegan;
        _bodyBytes += bytes;
    }

    /// <summary>Some of it passed by.</summary>
    public void BodySpliced(int bytes) => _bodyBytes += bytes;

    /// <summary>Sends what was written. False when the client is gone.</summary>
    public ValueTask<bool> FlushAsync()
    {
        if (_output.UnflushedBytes == 0) return new(!_exchange.IsGone);
        var unflushed = _output.UnflushedBytes;
        var flush = _output.FlushAsync();
        return flush.IsCompletedSuccessfully ? new(IsTaken(flush.Result)) : WaitForFlushAsync(flush, unflushed);
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private async ValueTask<bool> WaitForFlushAsync(ValueTask<FlushResult> flush, long bytes)
    {
        _slowReader.Begin(bytes);
        try
        {
            return IsTaken(await flush.ConfigureAwait(false));
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            _slowReader.End();
        }
    }

    private static bool IsTaken(FlushResult result) => !result.IsCompleted && !result.IsCanceled;

    // False when no further request is to be answered. Nearly always the first bytes of a head are all of it.
    private ValueTask<bool> TakeHeadAsync(ReadResult read)
    {
        var parser = new RequestParser();
        var status = read.Buffer.IsEmpty ? ParseStatus.Incomplete : Parse(ref parser, read.Buffer);
        return status == ParseStatus.Complete && !read.IsCanceled
            ? BeginAsync(parser, read.Buffer)
            : ReadHeadAsync(read, parser, status);
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private async ValueTask<bool> ReadHeadAsync(ReadResult read, RequestParser parser, ParseStatus status)
    {
        for (var began = false; ;)
        {
            var buffer = read.Buffer;
            if (read.IsCanceled && (IsTooSlow || (_closeRequested && buffer.IsEmpty)))
            {
                _input.AdvanceTo(buffer.Start);
                if (IsTooSlow && began) await RefuseAsync(new(StatusCodes.Status408RequestTimeout, "the request came too slowly")).ConfigureAwait(false);
                return false;
            }
            if (status == ParseStatus.Complete) return await BeginAsync(parser, buffer).ConfigureAwait(false);
            _input.AdvanceTo(buffer.Start, buffer.End);
            if (status == ParseStatus.Invalid)
            {
                await RefuseAsync(parser.Refusal).ConfigureAwait(false);
                return false;
            }
            if (read.IsCompleted) return false;
            if (!began && !buffer.IsEmpty)
            {
                began = true;
                if (_reading.TryClear()) _reading.Set(Service.Clock.Now + (long)Service.Limits.Header.TotalMilliseconds);
            }
            read = await _input.ReadAsync().ConfigureAwait(false);
            status = read.Buffer.IsEmpty ? ParseStatus.Incomplete : Parse(ref parser, read.Buffer);
        }
    }

    private ParseStatus Parse(ref RequestParser parser, ReadOnlySequence<byte> buffer)
    {
        if (buffer.IsSingleSegment) return parser.Parse(buffer.FirstSpan, _exchange.Fields);
        // A head across two blocks, which is rare, in one piece. More than this is refused anyway.
        var length = (int)Math.Min(buffer.Length, RequestParser.MaxLineBytes + RequestParser.MaxFieldBytes + 1024);
        var whole = BufferPool.Shared.Rent(length);
        buffer.Slice(0, length).CopyTo(whole);
        var status = parser.Parse(whole.AsSpan(0, length), _exchange.Fields);
        BufferPool.Shared.Return(whole);
        return status;
    }

    private ValueTask<bool> BeginAsync(in RequestParser head, ReadOnlySequence<byte> buffer)
    {
        var end = buffer.GetPosition(head.HeadLength);
        _exchange.Fields.Attach(buffer.Slice(0, end));
        _input.AdvanceTo(end);
        // Too late is too late only for a head that is not whole.
        _reading.Clear();
        _bodyWaited = _bodyBytes = 0;
        _bodyPatience = Service.Limits.Body;
        if (RequestFraming.Read(_exchange.Fields, head.MinorVersion, out var framing) is { } refusal) return RefuseAndEndAsync(refusal);
        _exchange.Begin(head, framing);
        return new(true);
    }

    private async ValueTask<bool> RefuseAndEndAsync(HeadRefusal refusal)
    {
        await RefuseAsync(refusal).ConfigureAwait(false);
        return false;
    }

    private async ValueTask RefuseAsync(HeadRefusal refusal)
    {
        Log.Refused(Service.Logger, Client.AddressText, refusal.Reason);
        _exchange.BeginRefused();
        var text = Encoding.ASCII.GetBytes($"Bad request: {refusal.Reason}\n");
        _exchange.BeginHead(refusal.Status);
        _exchange.Field("Content-Type"u8, "text/plain; charset=utf-8"u8);
        _exchange.EndHead(text.Length, hasBody: true);
        _exchange.Write(text);
        await FlushAsync().ConfigureAwait(false);
    }

    // False when the connection is to be closed.
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private async ValueTask<bool> EndAsync()
    {
        if (!_exchange.IsGone)
        {
            _exchange.EndBody(null);
            // A handler that gave no answer, or less than it said: the client must not wait for it, or take it for whole.
            if (!_exchange.IsWhole) _exchange.Abort();
        }
        var goesOn = await FlushAsync().ConfigureAwait(false) && _exchange.KeepsAlive && !_closeRequested
            && (_exchange.RequestBody.IsAtEnd || await ReadOverBodyAsync().ConfigureAwait(false));
        // Behind a body some clients send a line end that belongs to nothing (RFC 9112 section 2.2).
        ClientIsDone = _exchange is { IsLast: true, HasBody: false };
        _exchange.End();
        return goesOn;
    }

    // The rest of a body that the answer did not need. False if it is too much, or the client waits to be asked for it.
    private async ValueTask<bool> ReadOverBodyAsync()
    {
        var body = _exchange.RequestBody;
        if (body.IsWaitedFor) return false;
        _bodyWaited = _bodyBytes = 0;
        _bodyPatience = UnwantedTime;
        try
        {
            for (var left = (long)MostUnwanted; left > 0;)
            {
                var read = await body.ReadAsync().ConfigureAwait(false);
                left -= read.Buffer.Length;
                body.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) return true;
                if (read.IsCanceled && _closeRequested) return false;
            }
        }
        catch (BadHttpRequestException e)
        {
            Log.Refused(Service.Logger, Client.AddressText, e.Message);
        }
        return false;
    }
}
