using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Millau.Bench;

/// <summary>A process of the bench, pinned to a core, its output in a file. Ends with all its children when disposed.</summary>
internal sealed class RunningProcess : IDisposable
{
    private const int SigTerm = 15;

    private readonly Process _process;
    private readonly string _log;

    private RunningProcess(Process process, string log) => (_process, _log) = (process, log);

    public int Id => _process.Id;

    public bool HasEnded => _process.HasExited;

    /// <summary>The last lines it wrote, for error messages.</summary>
    public string Tail => File.Exists(_log) ? string.Join('\n', File.ReadLines(_log).TakeLast(10)) : "";

    /// <param name="command">Program and arguments.</param>
    /// <param name="cores">Where it may run, as <c>taskset</c> wants it.</param>
    /// <param name="directory">For its log; also takes note of its pid, so that <c>bench/run</c> can end it in any case.</param>
    /// <param name="name">Of the log file.</param>
    /// <param name="environment">Added to this process's own.</param>
    public static RunningProcess Start(Command command, string cores, string directory, string name)
    {
        var log = Path.Combine(directory, name + ".log");
        // taskset and sh replace themselves, so that the process id is the program's own.
        var start = new ProcessStartInfo("/bin/sh")
        {
            ArgumentList = { "-c", "log=$1; shift; exec taskset -c \"$@\" > \"$log\" 2>&1 < /dev/null", "sh", log, cores, command.Program },
        };
        foreach (var argument in command.Arguments)
            start.ArgumentList.Add(argument);
        foreach (var (key, value) in command.Environment)
            start.Environment[key] = value;
        var process = Process.Start(start) ?? throw new InvalidOperationException($"{command.Program} did not start");
        if (ProcessTree.StartTicks(process.Id) is { } ticks)
            File.AppendAllText(Path.Combine(directory, "pids"), $"{process.Id} {ticks}\n");
        return new RunningProcess(process, log);
    }

    /// <summary>Asks it to end, so that a master process sees to its workers; after 3 s all of them are killed.</summary>
    public void Dispose()
    {
        if (!_process.HasExited && (kill(_process.Id, SigTerm) != 0 || !_process.WaitForExit(TimeSpan.FromSeconds(3))))
            _process.Kill(entireProcessTree: true);
        _process.WaitForExit(TimeSpan.FromSeconds(5));
        _process.Dispose();
    }

    [DllImport("libc")]
    private static extern int kill(int pid, int signal);
}

/// <summary>What to start.</summary>
internal sealed record Command(string Program, params string[] Arguments)
{
    public Dictionary<string, string> Environment { get; init; } = [];
}
