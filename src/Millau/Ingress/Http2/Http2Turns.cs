using System.IO.Pipelines;
using Millau.Http2;

namespace Millau.Ingress.Http2;

/// <summary>
/// Which stream sends next of its body: as far as the windows allow (RFC 9113 section 5.2), one frame each, in turn.
/// </summary>
/// <remarks>Concurrency: guarded by the connection's gate, but for <see cref="TellSent"/>, which is the sender's.</remarks>
internal sealed class Http2Turns(Http2Connection connection, Http2Pending pending, long patience)
{
    // Every client takes as much (RFC 9113 section 4.2), and larger ones would make the others wait.
    private const int MostInFrame = FrameHeader.DefaultMaxLength;

    // Less room than this at the end of a turn is not worth a frame.
    private const int LeastRoom = 1024;

    // More of them can only be streams that are over: there are never so many open.
    private const int MostStarved = 1024;

    // Those with something to send, in turn; and those that wait for the window of the connection.
    private readonly Queue<Http2Exchange> _ready = new();
    private readonly Queue<Http2Exchange> _starved = new();

    // Streams whose bytes are all in the flush that is under way, and who are to be told when it is over.
    private readonly List<Http2Exchange> _taken = [];
    private SendWindow _window = new(SendWindow.Default);

    /// <summary>What the client may take on a new stream.</summary>
    public int StreamWindow { get; private set; } = SendWindow.Default;

    /// <summary>Something may be sent.</summary>
    public bool Any => _ready.Count > 0;

    /// <summary>A stream has written, or ended; what it wrote is the sender's until it is sent.</summary>
    public void Enqueue(Http2Exchange exchange)
    {
        exchange.IsSending = true;
        exchange.RoomDue = 0;
        Queue(exchange);
    }

    /// <summary>What a stream still had is not to be sent.</summary>
    public static void Drop(Http2Exchange exchange)
    {
        if (!exchange.IsSending) return;
        exchange.IsSending = false;
        exchange.Unsent.Release();
    }

    /// <summary>The client takes more, of a stream or, with null, on the connection. False if that cannot be.</summary>
    public bool TryWiden(Http2Exchange? exchange, int bytes)
    {
        if (exchange is not null)
        {
            if (!exchange.Window.TryIncrease(bytes)) return false;
            if (exchange.IsSending) Queue(exchange);
            return true;
        }
        if (!_window.TryIncrease(bytes)) return false;
        while (_starved.TryDequeue(out var starved)) _ready.Enqueue(starved);
        return true;
    }

    /// <summary>The client has set the windows of streams, of the open ones too. False if that cannot be.</summary>
    public bool TrySet(int streamWindow)
    {
        var difference = streamWindow - StreamWindow;
        if (difference == 0) return true;
        StreamWindow = streamWindow;
        foreach (var exchange in connection.Streams.Open)
        {
            if (!exchange.Window.TryAdjust(difference)) return false;
            if (exchange.IsSending) Queue(exchange);
        }
        return true;
    }

    /// <summary>Gives frames to a writer, up to so many bytes; returns how many it were.</summary>
    public int Take(PipeWriter writer, int most)
    {
        var taken = 0;
        while (most - taken >= LeastRoom && _ready.TryDequeue(out var exchange))
        {
            exchange.IsQueued = false;
            if (exchange.IsSending) taken += Take(exchange, writer, most - taken - FrameHeader.Size);
            connection.Streams.Release(exchange);
        }
        return taken;
    }

    /// <summary>The flush that was under way is over.</summary>
    public void TellSent(bool sent)
    {
        foreach (var exchange in _taken) connection.Streams.TellSent(exchange, sent);
        _taken.Clear();
    }

    /// <summary>Nobody has a turn any more.</summary>
    public void Clear()
    {
        while (_ready.TryDequeue(out var exchange) || _starved.TryDequeue(out exchange))
        {
            exchange.IsQueued = false;
            connection.Streams.Release(exchange);
        }
    }

    private void Queue(Http2Exchange exchange)
    {
        if (exchange.IsQueued) return;
        exchange.IsQueued = true;
        exchange.Users++;
        _ready.Enqueue(exchange);
    }

    // The next frame of a stream, with at most so much in it; returns its bytes.
    private int Take(Http2Exchange exchange, PipeWriter writer, int room)
    {
        var unsent = exchange.Unsent.Length;
        var count = Math.Min(Math.Min(unsent, Math.Min(MostInFrame, room)), Math.Max(0, Math.Min(exchange.Window.Available, _window.Available)));
        if (count == 0 && unsent > 0)
        {
            Wait(exchange, unsent);
            return 0;
        }
        var last = count == unsent && exchange.IsEnded;
        var ends = last && exchange.AnswerTrailers is null;
        if (count > 0 || ends) WriteData(exchange, writer, count, ends);
        if (last) End(exchange);
        else if (count < unsent) Queue(exchange);
        else Taken(exchange);
        return count > 0 || ends ? FrameHeader.Size + count : 0;
    }

    // There is no window. That of the stream, if it is the stream's, queues it again when it is widened.
    private void Wait(Http2Exchange exchange, int unsent)
    {
        if (exchange.RoomDue == 0) exchange.RoomDue = connection.Now + patience + unsent * 1000L / SlowReader.SlowestRate;
        if (exchange.Window.Available <= 0) return;
        exchange.IsQueued = true;
        exchange.Users++;
        _starved.Enqueue(exchange);
        if (_starved.Count > MostStarved) ForgetBroken();
    }

    // A client that resets its streams and never widens the connection's window would have them kept for ever.
    private void ForgetBroken()
    {
        for (var left = _starved.Count; left > 0; left--)
        {
            var exchange = _starved.Dequeue();
            if (exchange.IsSending)
            {
                _starved.Enqueue(exchange);
                continue;
            }
            exchange.IsQueued = false;
            connection.Streams.Release(exchange);
        }
    }

    private void WriteData(Http2Exchange exchange, PipeWriter writer, int count, bool ends)
    {
        new FrameHeader(count, FrameType.Data, ends ? FrameFlags.EndStream : FrameFlags.None, exchange.Id).Write(writer.GetSpan(FrameHeader.Size));
        writer.Advance(FrameHeader.Size);
        if (count == 0) return;
        exchange.Unsent.MoveTo(writer, count);
        exchange.Window.Consume(count);
        _window.Consume(count);
    }

    private void End(Http2Exchange exchange)
    {
        exchange.IsSending = false;
        if (exchange.AnswerTrailers is { } trailers) pending.Trailers(exchange.Id, trailers);
        connection.Streams.End(exchange);
        // Else there is nobody to be told.
        if (!exchange.HasClientEnded) Taken(exchange);
    }

    private void Taken(Http2Exchange exchange)
    {
        exchange.IsSending = false;
        exchange.Users++;
        _taken.Add(exchange);
    }
}
