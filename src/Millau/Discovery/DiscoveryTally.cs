namespace Millau.Discovery;

/// <summary>What discovery did so far, for those who watch. Written by its loop, read by any thread.</summary>
internal sealed class DiscoveryTally
{
    private readonly long[] _events = new long[EventTypes.Length];
    private readonly long[] _errors = new long[Enum.GetValues<EngineFaultKind>().Length];
    private long _swarmReads;
    private long _containerReads;

    /// <summary>What events are told apart by; all else is <c>other</c>.</summary>
    public static readonly string[] EventTypes = ["service", "node", "container", "network", "other"];

    /// <summary>Events of one of <see cref="EventTypes"/>.</summary>
    public long Events(string type) => Volatile.Read(ref _events[Array.IndexOf(EventTypes, type)]);

    /// <summary>Failed calls, and connections lost, of one kind.</summary>
    public long Errors(EngineFaultKind kind) => Volatile.Read(ref _errors[(int)kind]);

    /// <summary>Reads of services and tasks that ended, well or not.</summary>
    public long SwarmReads => Volatile.Read(ref _swarmReads);

    /// <summary>Reads of containers that ended, well or not.</summary>
    public long ContainerReads => Volatile.Read(ref _containerReads);

    public void Event(string? type)
    {
        var place = Array.IndexOf(EventTypes, type);
        Interlocked.Increment(ref _events[place < 0 ? EventTypes.Length - 1 : place]);
    }

    public void SwarmRead() => Interlocked.Increment(ref _swarmReads);

    public void ContainerRead() => Interlocked.Increment(ref _containerReads);

    public void Error(EngineFault? fault)
    {
        if (fault is not null) Interlocked.Increment(ref _errors[(int)fault.Kind]);
    }
}
