using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Millau.Transport;

/// <summary>
/// One thread that waits for many sockets at once (epoll) and runs what waits for them: from the readiness
/// of a client's socket to the last byte sent to the instance, and back, on one thread without a hop.
/// </summary>
/// <remarks>
/// Concurrency: sockets may be added and removed from any thread. What runs on the loop must not block: all others of
/// this loop would wait for it.
/// </remarks>
internal sealed class EventLoop : IDisposable
{
    private const int MostEvents = 256;
    private const ulong WakeUp = ulong.MaxValue;

    [ThreadStatic]
    private static EventLoop? t_current;

    private readonly Lock _lock = new();
    private readonly Stack<int> _freeSlots = [];
    private readonly ConcurrentQueue<LoopSocket> _closed = [];

    // Of the loop's own thread.
    private List<Action> _after = [];
    private List<Action> _running = [];
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private readonly int _epoll;
    private readonly int _wake;

    // Replaced when it grows, under the lock; read without it.
    private volatile Watched?[] _watched = new Watched?[64];
    private int _usedSlots;
    private uint _added;
    private int _signalled;
    private volatile bool _stopping;

    // As many bodies as are spliced at a time on a busy loop.
    private const int MostPipes = 32;
    private bool _ended;

    /// <param name="number">From 0 on; names its thread.</param>
    /// <param name="logger">For what fails on it.</param>
    /// <exception cref="IOException">The kernel refuses.</exception>
    public EventLoop(int number, ILogger logger)
    {
        Number = number;
        _logger = logger;
        _epoll = Native.CreateEpoll();
        _wake = Native.CreateEvent();
        if (_epoll < 0 || _wake < 0 || !Native.Watch(_epoll, _wake, Native.In | Native.EdgeTriggered, WakeUp))
            throw new IOException($"no event loop: error {Marshal.GetLastSystemError()}");
        _thread = new Thread(Run) { IsBackground = true, Name = $"loop-{number}" };
        _thread.Start();
    }

    /// <summary>Its place among the <see cref="EventLoops"/> that it belongs to.</summary>
    public int Number { get; }

    /// <summary>Starts watching. False if the kernel refuses, or the loop has ended.</summary>
    /// <param name="watched">Told of the events, on the loop.</param>
    /// <param name="descriptor">Open until it is removed, or closed then.</param>
    /// <param name="events">Which, in the kernel's words.</param>
    public bool Add(Watched watched, int descriptor, uint events)
    {
        lock (_lock)
        {
            if (_ended) return false;
            if (!_freeSlots.TryPop(out var slot)) slot = _usedSlots++;
            if (slot == _watched.Length)
            {
                var larger = new Watched?[slot * 2];
                _watched.CopyTo(larger, 0);
                _watched = larger;
            }
            watched.Slot = slot;
            watched.Ticket = (ulong)_added++ << 32 | (uint)slot;
            _watched[slot] = watched;
            // Here, as all that uses the loop's own descriptors: once it has ended, their numbers are others'.
            if (Native.Watch(_epoll, descriptor, events, watched.Ticket)) return true;
        }
        Remove(watched);
        return false;
    }

    /// <summary>
    /// Forgets what its owner closes. An event of it that is under way is dropped, also when the next one has taken its place by then.
    /// </summary>
    public void Remove(Watched watched)
    {
        lock (_lock)
        {
            if (watched.Slot < 0) return;
            _watched[watched.Slot] = null;
            _freeSlots.Push(watched.Slot);
            watched.Slot = -1;
        }
    }

    /// <summary>The same for what stays open.</summary>
    public void Remove(Watched watched, int descriptor)
    {
        Remove(watched);
        lock (_lock)
        {
            if (!_ended) Native.Unwatch(_epoll, descriptor);
        }
    }

    /// <summary>
    /// Has a socket that was closed wake those who wait on it, on the loop: whoever closes one may hold a lock, or have no
    /// time for what they do next.
    /// </summary>
    public void PostClosed(LoopSocket socket)
    {
        _closed.Enqueue(socket);
        // On the loop itself the queue is looked at before the next wait.
        if (IsCurrent) return;
        lock (_lock)
        {
            if (!_ended)
            {
                if (Interlocked.Exchange(ref _signalled, 1) == 0) Native.Signal(_wake);
                return;
            }
        }
        // Race window: it was closed by somebody else while the loop ended.
        ThreadPool.UnsafeQueueUserWorkItem(static loop => loop.WakeClosed(), this, preferLocal: false);
    }

    /// <summary>For bodies between two sockets, of which one is on this loop.</summary>
    public SplicePipes Pipes { get; } = new(MostPipes);

    /// <summary>How many became ready together with the one that has its turn. On the loop alone.</summary>
    public int TurnSize { get; private set; }

    /// <summary>The loop that the caller runs on; null on any other thread.</summary>
    public static EventLoop? Current => t_current;

    /// <summary>The caller runs on this loop.</summary>
    public bool IsCurrent => t_current == this;

    /// <summary>
    /// Has something done when all sockets that became ready together had their turn, so that what they bring forth can be dealt with at
    /// once. What is asked for by what is done there has to wait for the next turn of the sockets. On the loop alone.
    /// </summary>
    public void AfterEvents(Action action) => _after.Add(action);

    /// <summary>Ends the thread, and cuts what is still watched: whoever waits on it would wait for ever.</summary>
    public void Dispose()
    {
        if (_stopping) return;
        _stopping = true;
        lock (_lock)
        {
            if (!_ended) Native.Signal(_wake);
        }
        if (!IsCurrent) _thread.Join();
    }

    private unsafe void Run()
    {
        t_current = this;
        var events = stackalloc byte[MostEvents * Native.EventSize];
        while (!_stopping)
        {
            var count = Native.Wait(_epoll, events, MostEvents, block: _after.Count == 0 && _closed.IsEmpty);
            if (count < 0) break;
            TurnSize = count;
            for (var i = 0; i < count; i++)
            {
                var entry = events + i * Native.EventSize;
                var ticket = *(ulong*)(entry + Native.EventDataOffset);
                if (ticket != WakeUp) Dispatch(ticket, *(uint*)entry);
            }
            WakeClosed();
            RunAfter();
        }
        CutAll();
        // What is put off by what is done here is done too, a few times over: nothing more becomes ready.
        for (var i = 0; i < 16 && (_after.Count > 0 || !_closed.IsEmpty); i++)
        {
            RunAfter();
            WakeClosed();
        }
        Native.Close(_epoll);
        Native.Close(_wake);
        Pipes.Dispose();
    }

    private void CutAll()
    {
        Watched?[] left;
        lock (_lock)
        {
            _ended = true;
            left = _watched;
        }
        foreach (var watched in left) watched?.OnLoopEnd();
        WakeClosed();
    }

    private void WakeClosed()
    {
        Volatile.Write(ref _signalled, 0);
        Interlocked.MemoryBarrier();
        while (_closed.TryDequeue(out var socket))
        {
            try
            {
                socket.WakeClosed();
            }
            catch (Exception e)
            {
                Log.LoopFailed(_logger, e);
            }
        }
    }

    private void RunAfter()
    {
        if (_after.Count == 0) return;
        (_running, _after) = (_after, _running);
        foreach (var action in _running)
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                Log.LoopFailed(_logger, e);
            }
        }
        _running.Clear();
    }

    private void Dispatch(ulong ticket, uint events)
    {
        var watched = _watched[(uint)ticket];
        // The event was told before its socket was closed, perhaps by what ran just now: the one in its place has no part in it.
        if (watched is null || watched.Ticket != ticket) return;
        try
        {
            watched.OnEvents(events);
        }
        catch (Exception e)
        {
            // What runs here handles its own failures; one that does not must not take all others of the loop with it.
            Log.LoopFailed(_logger, e);
        }
    }
}
