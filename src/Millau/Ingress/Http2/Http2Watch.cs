using System.Buffers.Binary;
using Millau.Http2;

namespace Millau.Ingress.Http2;

/// <summary>What is to be done with a connection.</summary>
internal enum Http2Verdict : byte
{
    Keep,

    /// <summary>Ended in order.</summary>
    Close,

    /// <summary>Ended at once: the client does not do its part.</summary>
    Cut,
}

/// <summary>
/// Looks after the time that a connection takes, and after its end in order: what is announced, what is said when, and when nothing is
/// left.
/// </summary>
/// <remarks>Concurrency: all but <see cref="OnReceived"/> and <see cref="Look"/> is guarded by the connection's gate.</remarks>
internal sealed class Http2Watch(Http2Connection connection, ClientLimits limits)
{
    // What PINGs of this side carry.
    private const ulong AreYouThere = 1;
    private const ulong WhatIsUnderWay = 2;

    // How long streams that are under way may take to arrive, if the client does not say that they have.
    private const long LeavingTime = 2000;

    private readonly long _idle = Milliseconds(limits.Idle);
    private readonly long _header = Milliseconds(limits.Header);
    private readonly long _body = Milliseconds(limits.Body);
    private readonly long _reader = Milliseconds(limits.Reader);
    private readonly long _pingAfter = Milliseconds(Http2Limits.PingAfter);
    private readonly long _pingPatience = Milliseconds(Http2Limits.PingPatience);
    private readonly List<Http2Exchange> _waiting = [];
    private readonly long _began = connection.Now;
    private long _received = connection.Now;
    private long? _asked;
    private long? _leaving;
    private long? _ending;
    private bool _hasLeft;
    private volatile bool _heard;

    /// <summary>The client knows which stream was the last.</summary>
    public bool HasLeft => Volatile.Read(ref _hasLeft);

    /// <summary>It left, and nothing is left to be done.</summary>
    public bool IsOver => _hasLeft && connection.Streams.Count == 0;

    /// <summary>Something came. The reading alone calls this.</summary>
    public void OnReceived(long now)
    {
        Volatile.Write(ref _received, now);
        _heard = true;
    }

    /// <summary>Announces the end: streams that are under way are still taken. False if it was announced before.</summary>
    public bool TryLeave(long now)
    {
        if (_leaving is not null || _ending is not null) return false;
        _leaving = now;
        connection.Output.Pending.GoAway(int.MaxValue, ErrorCode.NoError);
        Ping(WhatIsUnderWay);
        return true;
    }

    /// <summary>The client has seen all that stood before.</summary>
    public void OnPong(ReadOnlySpan<byte> data)
    {
        if (_leaving is not null && BinaryPrimitives.ReadUInt64BigEndian(data) == WhatIsUnderWay) Leave();
    }

    /// <summary>The reading is over.</summary>
    public void OnEnding(long now) => _ending = now;

    /// <summary>A second has passed.</summary>
    public Http2Verdict Look(long now, Http2Input input)
    {
        lock (connection.Gate)
        {
            if (_ending is { } ending) return now - ending > _reader ? Http2Verdict.Cut : Http2Verdict.Keep;
            if (!input.HasBegun && now - _began > _header) return Http2Verdict.Cut;
            if (input.BlockSince is { } since && now - since > _header) return Http2Verdict.Cut;
            if (_leaving is { } leaving && now - leaving >= LeavingTime) Leave();
            if (connection.Streams.Count == 0)
            {
                if (!IsOver && now - Math.Max(_began, connection.Streams.IdleSince) <= _idle) return Http2Verdict.Keep;
                // In the same moment: what comes after it is refused, and may be sent again elsewhere.
                Leave();
                return Http2Verdict.Close;
            }
            if (!IsThere(now)) return Http2Verdict.Cut;
            foreach (var exchange in connection.Streams.Open)
            {
                if (exchange is { IsSending: true, RoomDue: > 0 } && now > exchange.RoomDue) return Http2Verdict.Cut;
                if (exchange.ContentLength < 0 || exchange.HasClientEnded) continue;
                exchange.Users++;
                _waiting.Add(exchange);
            }
        }
        LookAtBodies(now);
        return Http2Verdict.Keep;
    }

    // A stream without a length may be silent for hours, and the rest of its connection is not to end with it. That the client is
    // still there is asked of the connection.
    private void LookAtBodies(long now)
    {
        foreach (var exchange in _waiting) exchange.RequestBody.Tick(now, _body);
        if (_waiting.Count == 0) return;
        lock (connection.Gate)
        {
            foreach (var exchange in _waiting) connection.Streams.Release(exchange);
        }
        _waiting.Clear();
    }

    private bool IsThere(long now)
    {
        var received = Volatile.Read(ref _received);
        if (_asked is { } asked)
        {
            if (!_heard) return now - asked <= _pingPatience;
            _asked = null;
        }
        if (now - received < _pingAfter) return true;
        _asked = now;
        _heard = false;
        Ping(AreYouThere);
        return true;
    }

    /// <summary>Says which stream was the last: all later ones are refused.</summary>
    public void Leave()
    {
        if (_hasLeft) return;
        Volatile.Write(ref _hasLeft, true);
        connection.Output.Pending.GoAway(connection.Streams.LastTaken, ErrorCode.NoError);
    }

    private void Ping(ulong number)
    {
        Span<byte> data = stackalloc byte[FramePayload.PingSize];
        BinaryPrimitives.WriteUInt64BigEndian(data, number);
        connection.Output.Pending.Ping(data);
    }

    private static long Milliseconds(TimeSpan time) => (long)time.TotalMilliseconds;
}
