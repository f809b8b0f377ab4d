using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// Where requests wait when nothing can take them but an instance is on its way up: Docker's default update of a
/// single replica leaves a second or two with none. First come, first served; bounded for each service.
/// </summary>
internal sealed class Parking
{
    /// <summary>Longest wait.</summary>
    public static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(10);

    /// <summary>Most requests that wait for one service.</summary>
    public const int MaxRequests = 1000;

    /// <summary>Most bytes of request bodies kept for requests that wait for one service.</summary>
    public const long MaxBytes = 64 * 1024 * 1024;

    private readonly Lock _lock = new();
    private readonly Availability _availability;
    private readonly TimeProvider _time;
    private readonly Dictionary<string, (int Requests, long Bytes)> _usage = [];
    private readonly List<Ticket> _waiting = [];
    private long _lastNumber;

    public Parking(Availability availability, TimeProvider time)
    {
        _availability = availability;
        _time = time;
        availability.Changed += WakeAll;
    }

    /// <summary>Requests that have a place now.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                var count = 0;
                foreach (var (requests, _) in _usage.Values) count += requests;
                return count;
            }
        }
    }

    /// <summary>A place for one request, from its first wait to its answer. Null when the service's places are taken.</summary>
    /// <param name="service">The service that is waited for.</param>
    /// <param name="bytes">Bytes of the request body that are kept meanwhile.</param>
    public Ticket? TryEnter(string service, long bytes)
    {
        lock (_lock)
        {
            var (requests, kept) = _usage.GetValueOrDefault(service);
            if (requests >= MaxRequests || kept + bytes > MaxBytes) return null;
            _usage[service] = (requests + 1, kept + bytes);
            return new Ticket(this, service, bytes, ++_lastNumber, _time.GetTimestamp());
        }
    }

    private void Leave(Ticket ticket)
    {
        lock (_lock)
        {
            var (requests, kept) = _usage[ticket.Service];
            if (requests == 1) _usage.Remove(ticket.Service);
            else _usage[ticket.Service] = (requests - 1, kept - ticket.Bytes);
        }
    }

    private void WakeAll()
    {
        Ticket[] waiting;
        lock (_lock)
        {
            if (_waiting.Count == 0) return;
            // One that woke for nothing waits again behind those that came after it, so the list is not in order.
            _waiting.Sort(static (a, b) => a.Number.CompareTo(b.Number));
            waiting = [.. _waiting];
            _waiting.Clear();
        }
        foreach (var ticket in waiting) ticket.Wake();
    }

    /// <summary>One request's place. Disposed once the request goes on or gives up.</summary>
    internal sealed class Ticket(Parking parking, string service, long bytes, long number, long since) : IDisposable
    {
        private TaskCompletionSource? _woken;

        public string Service => service;
        public long Bytes => bytes;
        public long Number => number;

        /// <summary>Waits for the next change.</summary>
        /// <param name="seen">The <see cref="Availability.Version"/> at which there was nobody.</param>
        /// <param name="cancellation">The client is gone.</param>
        /// <returns>False when the longest wait is over.</returns>
        /// <exception cref="OperationCanceledException">The client is gone.</exception>
        public async ValueTask<bool> WaitAsync(long seen, CancellationToken cancellation)
        {
            var left = MaxWait - parking._time.GetElapsedTime(since);
            if (left <= TimeSpan.Zero) return false;
            var woken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (parking._lock)
            {
                if (parking._availability.Version != seen) return true;
                _woken = woken;
                parking._waiting.Add(this);
            }
            try
            {
                await woken.Task.WaitAsync(left, parking._time, cancellation).ConfigureAwait(false);
                return true;
            }
            catch (TimeoutException)
            {
                return false;
            }
            finally
            {
                lock (parking._lock) parking._waiting.Remove(this);
            }
        }

        public void Wake() => _woken?.TrySetResult();

        public void Dispose() => parking.Leave(this);
    }
}
