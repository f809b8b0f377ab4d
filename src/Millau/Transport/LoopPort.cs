using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Millau.Transport;

/// <summary>
/// A socket that is listened on, on all event loops: the kernel wakes one of them that waits. Whichever accepts a connection, the
/// connections go to the loops in turn, because a loop that is never busy would get all of them, and clients stay long. One socket,
/// because the kernel refuses a port that is taken, no connection waits to be accepted by a loop that is busy, and it can be drained.
/// </summary>
internal sealed class LoopPort : IAccepting
{
    // Without a descriptor left, or where the kernel refuses for good, asking again at once would only burn the processor; clients wait
    // in the backlog.
    private static readonly TimeSpan PauseWhenFull = TimeSpan.FromMilliseconds(100);

    private readonly Socket _socket;
    private readonly EventLoops _loops;
    private readonly MemoryPool<byte> _pool;
    private readonly AcceptedConnection _accepted;
    private readonly ILogger _logger;
    private readonly EndPoint _endPoint;
    private readonly Watch[] _watches;
    private int _full;

    /// <exception cref="IOException">The kernel refuses.</exception>
    public LoopPort(Socket socket, EventLoops loops, MemoryPool<byte> pool, AcceptedConnection accepted, ILogger logger)
    {
        (_socket, _loops, _pool, _accepted, _logger) = (socket, loops, pool, accepted, logger);
        _endPoint = socket.LocalEndPoint!;
        var number = (int)socket.SafeHandle.DangerousGetHandle();
        _watches = [.. loops.All.Select(loop => new Watch(this, loop, number))];
        foreach (var watch in _watches)
        {
            if (watch.Begin()) continue;
            Close();
            throw new IOException("no event loop can watch the port");
        }
    }

    public Task CloseAsync()
    {
        Close();
        return Task.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        Close();
        return default;
    }

    // When no loop accepts any more, its number may be another's.
    private void Close()
    {
        foreach (var watch in _watches) watch.End();
        _socket.Dispose();
    }

    // False if there is nobody to be accepted, or no room for anybody.
    private bool TryAccept(int listening, out SocketError error)
    {
        error = NativeSocket.Accept(listening, out var descriptor, out var peer);
        if (error == SocketError.Success)
        {
            Volatile.Write(ref _full, 0);
            var connection = new LoopConnection(descriptor, peer, _loops.Next(), _pool);
            if (_accepted(connection) is { } service) connection.Start(service);
            return true;
        }
        return error == SocketError.ConnectionAborted;
    }

    private void SayFull(SocketError error)
    {
        if (Interlocked.Exchange(ref _full, 1) == 0) Log.NoMoreConnections(_logger, _endPoint, error);
    }

    /// <summary>What one of the loops has to do with it.</summary>
    /// <remarks>Concurrency: under its lock, which only its loop takes but for its beginning, its end and after a pause.</remarks>
    private sealed class Watch(LoopPort port, EventLoop loop, int number) : Watched
    {
        private const uint Newcomers = Native.In | Native.Exclusive;

        // As many as one turn takes at most.
        private const int Most = 64;

        private readonly Lock _lock = new();
        private Timer? _pause;
        private bool _ended;

        public bool Begin()
        {
            lock (_lock) return loop.Add(this, number, Newcomers);
        }

        /// <summary>When it returns, this loop accepts nobody any more, and has handed over whom it accepted.</summary>
        public void End()
        {
            lock (_lock)
            {
                if (_ended) return;
                _ended = true;
                _pause?.Dispose();
                loop.Remove(this, number);
            }
        }

        // One where nothing else is to be done, so that no call finds nobody; where there is much to be done, newcomers have
        // their share of it. What is left is told of again.
        public override void OnEvents(uint events)
        {
            lock (_lock)
            {
                if (_ended) return;
                var error = SocketError.Success;
                for (var left = Math.Min(loop.TurnSize, Most); left > 0 && port.TryAccept(number, out error);) left--;
                if (error is SocketError.Success or SocketError.WouldBlock or SocketError.ConnectionAborted) return;
                port.SayFull(error);
                loop.Remove(this, number);
                _pause ??= new Timer(static watch => ((Watch)watch!).Resume(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
                _pause.Change(PauseWhenFull, Timeout.InfiniteTimeSpan);
            }
        }

        public override void OnLoopEnd() => End();

        private void Resume()
        {
            lock (_lock)
            {
                // The kernel may have no memory for that either.
                if (!_ended && !loop.Add(this, number, Newcomers)) _pause!.Change(PauseWhenFull, Timeout.InfiniteTimeSpan);
            }
        }
    }
}
