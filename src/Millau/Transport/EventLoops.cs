using Microsoft.Extensions.Logging;

namespace Millau.Transport;

/// <summary>One event loop for each processor that this process may use. Owns them.</summary>
internal sealed class EventLoops : IDisposable
{
    private readonly EventLoop[] _loops;
    private uint _next;

    /// <exception cref="IOException">The kernel refuses.</exception>
    public EventLoops(ILogger logger, int? count = null)
    {
        _loops = new EventLoop[count ?? Environment.ProcessorCount];
        for (var i = 0; i < _loops.Length; i++) _loops[i] = new EventLoop(i, logger);
    }

    /// <summary>
    /// Event loops need Linux, on a processor whose system calls <see cref="Native"/> knows; elsewhere the framework's sockets serve.
    /// </summary>
    public static bool AreSupported => OperatingSystem.IsLinux() && Native.IsKnown;

    public IReadOnlyList<EventLoop> All => _loops;

    /// <summary>Each in turn.</summary>
    public EventLoop Next() => _loops[Interlocked.Increment(ref _next) % (uint)_loops.Length];

    public void Dispose()
    {
        foreach (var loop in _loops) loop.Dispose();
    }
}
