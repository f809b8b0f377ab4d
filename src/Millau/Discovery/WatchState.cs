using Microsoft.Extensions.Logging;

namespace Millau.Discovery;

/// <summary>
/// Whether one kind of list can be had from the Engine at the moment, how to go on when it cannot, and what to say of
/// it: each state once, not at every read.
/// </summary>
internal sealed class WatchState(string what, DiscoveryTiming timing, ILogger log)
{
    /// <summary>A starting Engine says for some seconds that it is in no Swarm.</summary>
    private static readonly TimeSpan NoSwarmBelievedAfter = TimeSpan.FromSeconds(10);

    private int _failures;
    private TimeSpan? _noSwarmSince;
    private TimeSpan? _askSeldom;
    private bool _wasGood;
    private string _said = "";

    public enum Verdict
    {
        /// <summary>What is known stays in force.</summary>
        Keep,

        /// <summary>There is nothing of this kind.</summary>
        NothingThere,
    }

    /// <summary>The lists were read, or it is certain that they cannot be had from this Engine.</summary>
    public bool HasRead { get; private set; }

    /// <summary>Why what is known may be old; null when it is current, or cannot be had at all.</summary>
    public EngineFault? Fault { get; private set; }

    /// <summary>Why the lists cannot be had as they should, for people; null if they can.</summary>
    public EngineFault? Complaint { get; private set; }

    public bool HasEvents { get; set; } = true;

    public void OnRead()
    {
        if (_said.Length > 0)
            Log.ListsCurrentAgain(log, what);
        _said = "";
        _failures = 0;
        _noSwarmSince = null;
        _askSeldom = null;
        _wasGood = true;
        HasRead = true;
        Fault = null;
        Complaint = null;
    }

    public Verdict OnFault(EngineFault fault, TimeSpan now)
    {
        // Said once for all kinds of lists, by whoever owns the connection.
        if (fault.Kind == EngineFaultKind.Unreachable)
        {
            Fault = fault;
            return Verdict.Keep;
        }

        if (fault.Kind == EngineFaultKind.NoSwarm)
        {
            _noSwarmSince ??= now;
            if (_wasGood && now - _noSwarmSince < NoSwarmBelievedAfter)
                return Verdict.Keep;
        }

        var text = fault.ToString();
        var isNew = _said != text;
        _said = text;
        _failures++;
        Fault = null;
        Complaint = fault;
        _askSeldom = null;
        switch (fault.Kind)
        {
            case EngineFaultKind.NoSwarm:
                if (isNew)
                    Log.NoSwarm(log, text);
                _askSeldom = timing.NoSwarmRetry;
                _wasGood = false;
                break;
            case EngineFaultKind.NoManager:
                if (isNew)
                    Log.NoManager(log, text);
                _askSeldom = timing.NoSwarmRetry;
                break;
            case EngineFaultKind.Forbidden:
                if (isNew)
                    Log.PathForbidden(log, text, what);
                _askSeldom = timing.ForbiddenRetry;
                break;
            default:
                if (isNew)
                    Log.ListsStale(log, what, text);
                Fault = fault;
                return Verdict.Keep;
        }

        HasRead = true;
        return fault.Kind == EngineFaultKind.NoSwarm ? Verdict.NothingThere : Verdict.Keep;
    }

    /// <summary>When to read everything again, after a read that took so long, and so much of the processor's time here.</summary>
    public TimeSpan NextAll(TimeSpan took, TimeSpan cost, TimeSpan now)
    {
        if (_askSeldom is { } pause)
            return now + pause;
        var least = _failures > 0 ? timing.Follow * (1 << Math.Min(_failures - 1, 5))
            : HasEvents ? timing.Slow
            : timing.SlowWithoutEvents;
        var fair = TimeSpan.FromTicks(Math.Max((took * 20).Ticks, (cost * DiscoveryTiming.CostShare).Ticks));
        return now + (fair < least ? least : fair > timing.SlowAtMost ? timing.SlowAtMost : fair);
    }
}
