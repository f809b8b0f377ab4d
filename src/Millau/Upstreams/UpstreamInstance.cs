using System.Net;
using System.Net.Sockets;
using Millau.Discovery;

namespace Millau.Upstreams;

/// <summary>
/// One instance: whether it can be used, and its pooled connections. Keyed by task identity, so that it carries over
/// from one route table to the next.
/// </summary>
/// <remarks>
/// Concurrency: the registry alone writes <see cref="Phase"/> and <see cref="Service"/>; requests and the probe write
/// the rest, in single atomic steps.
/// </remarks>
internal sealed class UpstreamInstance
{
    // A running task whose port stays shut longer than this is no longer waited for.
    private const long StartingMilliseconds = 30_000;

    private readonly UpstreamHeartbeat _heartbeat;
    private volatile InstancePhase _phase;
    private volatile bool _accepting;
    private volatile bool _retired;
    private volatile UpstreamService? _service;
    private long _leftOutUntil;
    private long _startedAt;
    private volatile int _probeError;

    public UpstreamInstance(string id, string name, IPEndPoint endPoint, UpstreamHeartbeat heartbeat)
    {
        Id = id;
        Name = name;
        EndPoint = endPoint;
        _heartbeat = heartbeat;
        _startedAt = heartbeat.Now;
        Pool = new UpstreamConnectionPool(heartbeat);
    }

    public string Id { get; }
    public string Name { get; }
    public IPEndPoint EndPoint { get; }
    public UpstreamConnectionPool Pool { get; }

    /// <summary>What the answers of this instance get besides; null before the first one. Two that make it at a time make the same.</summary>
    public ServedFields? Served { get; set; }

    /// <summary>What it did so far.</summary>
    public InstanceTally Tally { get; } = new();

    /// <summary>
    /// Where round-robin stood in the group whose first instance this is, so that the group of the next table goes on there.
    /// Written by each request without a lock: what is lost does not matter.
    /// </summary>
    public uint LastTurn { get; set; } = uint.MaxValue;

    /// <summary>The service it belongs to, as its labels stand now.</summary>
    public UpstreamService Service
    {
        get => _service!;
        set => _service = value;
    }

    public InstancePhase Phase
    {
        get => _phase;
        set => _phase = value;
    }

    /// <summary>Its port has accepted a connection.</summary>
    public bool IsAccepting
    {
        get => _accepting;
        set => _accepting = value;
    }

    /// <summary>What its port said to the last probe; success before the first, and once it accepts. For people.</summary>
    public SocketError ProbeError
    {
        get => (SocketError)_probeError;
        set => _probeError = (int)value;
    }

    /// <summary>Since it was first seen, or last started.</summary>
    public TimeSpan StartedFor => TimeSpan.FromMilliseconds(_heartbeat.Now - Volatile.Read(ref _startedAt));

    /// <summary>How much longer it is left out; zero if it is not.</summary>
    public TimeSpan LeftOutFor => TimeSpan.FromMilliseconds(Math.Max(0, LeftOutUntil - _heartbeat.Now));

    /// <summary>No longer in the catalog: what is under way ends, nothing begins.</summary>
    public bool IsRetired => _retired;

    /// <summary>Takes requests like any other.</summary>
    public bool IsReady => _phase == InstancePhase.Running && _accepting && !IsLeftOut && !_retired;

    /// <summary>About to stop, but still serves: takes requests only when no other instance can.</summary>
    public bool IsLastResort => _phase == InstancePhase.Stopping && !IsLeftOut && !_retired;

    /// <summary>May close at any moment: takes only requests that may be sent again, or that nobody else will ever take.</summary>
    public bool IsClosing => _phase == InstancePhase.Closing && !IsLeftOut && !_retired;

    /// <summary>Failed not long ago.</summary>
    public bool IsLeftOut
    {
        get
        {
            var until = Volatile.Read(ref _leftOutUntil);
            return until != 0 && _heartbeat.Now < until;
        }
    }

    /// <summary>Milliseconds of the heartbeat's clock until which it is left out; 0 if it never failed.</summary>
    public long LeftOutUntil => Volatile.Read(ref _leftOutUntil);

    /// <summary>Runs, but does not accept connections yet; it may soon.</summary>
    public bool IsStarting =>
        _phase == InstancePhase.Running && !_accepting && !_retired && _heartbeat.Now - Volatile.Read(ref _startedAt) < StartingMilliseconds;

    /// <summary>Leaves the instance out for its service's retry period. True if it was not left out before.</summary>
    public bool LeaveOut()
    {
        var wasLeftOut = IsLeftOut;
        Volatile.Write(ref _leftOutUntil, Math.Max(1, _heartbeat.Now + (long)Service.Retry.TotalMilliseconds));
        return !wasLeftOut;
    }

    /// <summary>What it did before is forgotten.</summary>
    public void Readmit() => Volatile.Write(ref _leftOutUntil, 0);

    /// <summary>Docker says that it started again or is healthy again: as if it were new, and to be probed.</summary>
    public void Restart()
    {
        Volatile.Write(ref _startedAt, _heartbeat.Now);
        _accepting = false;
        Readmit();
    }

    /// <summary>Takes the instance out of use: idle connections are closed, used ones when their request is done.</summary>
    public void Retire()
    {
        _retired = true;
        Pool.Close();
    }
}
