namespace Millau.Discovery;

/// <summary>What went wrong with a call to the Engine. Expected, so a value and no exception.</summary>
/// <param name="Kind">What to do about it.</param>
/// <param name="Path">The path that was asked for, without the API version and the query.</param>
/// <param name="Message">One line for people.</param>
internal sealed record EngineFault(EngineFaultKind Kind, string Path, string Message)
{
    public override string ToString() => $"GET {Path}: {Message}";
}

internal enum EngineFaultKind
{
    /// <summary>No connection, or it broke before the answer was complete.</summary>
    Unreachable,

    /// <summary>No complete answer within the deadline; the Engine hangs, or only this part of it.</summary>
    TimedOut,

    /// <summary>401 or 403: a filtering proxy in between does not let this path through.</summary>
    Forbidden,

    /// <summary>404: what was asked for does not exist.</summary>
    NotFound,

    /// <summary>503 to a Swarm path: the Engine is no Swarm member.</summary>
    NoSwarm,

    /// <summary>503 to a Swarm path: the Engine is a worker, or a manager that lost its role.</summary>
    NoManager,

    /// <summary>400 because of the API version.</summary>
    WrongVersion,

    /// <summary>Any other status.</summary>
    Failed,

    /// <summary>200, but not the JSON that was expected.</summary>
    BadBody,
}

/// <summary>A value or a fault, never both.</summary>
internal readonly record struct EngineAnswer<T>(T? Value, EngineFault? Fault)
    where T : class
{
    /// <summary>Processor time that parsing took.</summary>
    public TimeSpan Cost { get; init; }

    public static implicit operator EngineAnswer<T>(T value) => new(value, null);

    public static implicit operator EngineAnswer<T>(EngineFault fault) => new(null, fault);
}
