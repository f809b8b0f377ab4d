namespace Millau.Discovery;

/// <summary>
/// Knows when tasks that are to stop get their SIGTERM. The Engine takes a task off its networks' name services first,
/// and only some three seconds later tells its process: until then it serves as ever, after that it may close at any
/// moment. Single user: the loop of <see cref="DockerDiscovery"/>.
/// </summary>
/// <param name="notice">From the first sight of a task that is to stop to the time from which it may be closing.</param>
internal sealed class StopClock(TimeSpan notice)
{
    private readonly Dictionary<string, TimeSpan> _since = [];
    private readonly HashSet<string> _seen = [];

    /// <summary>When time alone will change what is true; null if it will not.</summary>
    public TimeSpan? NextEnd { get; private set; }

    /// <summary>Before the instances of one catalog are judged.</summary>
    public void BeginRound()
    {
        _seen.Clear();
        NextEnd = null;
    }

    /// <summary>The phase of an instance, with the time since it was to stop taken into account.</summary>
    public InstancePhase Judge(string instanceId, InstancePhase listed, TimeSpan now)
    {
        if (listed != InstancePhase.Stopping)
            return listed;
        _seen.Add(instanceId);
        if (!_since.TryGetValue(instanceId, out var since))
            _since[instanceId] = since = now;
        if (now - since >= notice)
            return InstancePhase.Closing;
        if (NextEnd is not { } next || since + notice < next)
            NextEnd = since + notice;
        return InstancePhase.Stopping;
    }

    /// <summary>After all were judged: forgets those that are gone, or run again.</summary>
    public void EndRound()
    {
        foreach (var id in _since.Keys)
        {
            if (!_seen.Contains(id))
                _since.Remove(id);
        }
    }
}
