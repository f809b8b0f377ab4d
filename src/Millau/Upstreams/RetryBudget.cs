using Millau.Transport;

namespace Millau.Upstreams;

/// <summary>
/// How many of a service's requests in flight may be attempts at requests that were sent before: a fifth, and three at least. So a
/// service in trouble is not asked for more than it can give. What is beyond waits for its turn, first come first served, and is
/// not failed: an instance that dies may have had more than a fifth of all.
/// </summary>
internal sealed class RetryBudget(TimeProvider time)
{
    /// <summary>Repeated requests that may always be under way.</summary>
    public const int AtLeast = 3;

    /// <summary>One repeated request for this many requests in flight.</summary>
    public const int Share = 5;

    /// <summary>Longest wait for a turn.</summary>
    public static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly LinkedList<TaskCompletionSource> _waiting = [];
    private readonly LoopCounts _inFlight = new(1);
    private int _repeated;

    /// <summary>Attempts under way, repeated ones among them.</summary>
    public int InFlight => (int)Math.Max(0, _inFlight[0]);

    /// <summary>Repeated requests under way.</summary>
    public int Repeated => Volatile.Read(ref _repeated);

    /// <summary>An attempt begins.</summary>
    public void Begin() => _inFlight.Add(0);

    /// <summary>It is over.</summary>
    public void End() => _inFlight.Add(0, -1);

    /// <summary>Takes a turn if there is one and nobody waits for it. Given back by <see cref="Return"/>.</summary>
    public bool TryTake()
    {
        lock (_lock)
        {
            if (_waiting.Count > 0 || !HasTurn) return false;
            _repeated++;
            return true;
        }
    }

    /// <summary>Waits for a turn and takes it. False when the longest wait is over.</summary>
    /// <exception cref="OperationCanceledException">The client is gone.</exception>
    public async ValueTask<bool> TakeAsync(CancellationToken cancellation)
    {
        var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        LinkedListNode<TaskCompletionSource> place;
        lock (_lock)
        {
            if (_waiting.Count == 0 && HasTurn)
            {
                _repeated++;
                return true;
            }
            place = _waiting.AddLast(turn);
        }
        try
        {
            await turn.Task.WaitAsync(MaxWait, time, cancellation).ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            // Race window: the turn may have come in this moment.
            bool had;
            lock (_lock)
            {
                had = place.List is null;
                if (!had) _waiting.Remove(place);
            }
            if (had && e is TimeoutException) return true;
            if (had) Return();
            if (e is TimeoutException) return false;
            throw;
        }
    }

    /// <summary>Gives a turn back, to whoever has waited longest.</summary>
    public void Return()
    {
        lock (_lock)
        {
            _repeated--;
            while (_waiting.First is { } first && HasTurn)
            {
                _waiting.RemoveFirst();
                _repeated++;
                first.Value.SetResult();
            }
        }
    }

    private bool HasTurn => _repeated < Math.Max(AtLeast, InFlight / Share);
}
