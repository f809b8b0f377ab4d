using System.Collections.Concurrent;
using System.Diagnostics;

namespace Millau.PeerTests.Support;

/// <summary>A program that runs beside the test; its output is kept. Killed with all its children when disposed.</summary>
internal sealed class Tool : IAsyncDisposable
{
    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();

    private Tool(Process process) => _process = process;

    public int Id => _process.Id;

    public bool HasEnded => _process.HasExited;

    /// <summary>All that it wrote so far, both streams.</summary>
    public string Output => string.Join('\n', _lines);

    /// <param name="isRead">Else nobody takes what it writes, until <see cref="ReadOutput"/>.</param>
    public static Tool Start(
        string program, string[] args, IReadOnlyDictionary<string, string?>? environment = null, bool isRead = true)
    {
        var process = Process.Start(Info(program, args, environment))
            ?? throw new InvalidOperationException($"{program} did not start");
        process.StandardInput.Close();
        var tool = new Tool(process);
        process.OutputDataReceived += (_, e) => tool.Keep(e.Data);
        process.ErrorDataReceived += (_, e) => tool.Keep(e.Data);
        if (isRead) tool.ReadOutput();
        return tool;
    }

    /// <summary>Takes what it writes from now on, and what waits in its pipes.</summary>
    public void ReadOutput()
    {
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Runs to the end. What it wrote and its exit code; over the deadline it is killed and the test fails.</summary>
    public static async Task<ToolResult> RunAsync(
        string program, string[] args, string? input = null, TimeSpan? deadline = null,
        IReadOnlyDictionary<string, string?>? environment = null)
    {
        using var process = Process.Start(Info(program, args, environment))
            ?? throw new InvalidOperationException($"{program} did not start");
        if (input is not null)
            await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        using var timeout = new CancellationTokenSource(deadline ?? Until.Deadline);
        try
        {
            await process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{program} {string.Join(' ', args)}: no end after {(deadline ?? Until.Deadline).TotalSeconds} s");
        }
        return new ToolResult(process.ExitCode, await output, await error);
    }

    /// <summary>Sends a signal by name, such as <c>TERM</c>.</summary>
    public Task SignalAsync(string signal) => RunAsync("/bin/kill", ["-s", signal, $"{Id}"]);

    /// <summary>Waits for its own end; its exit code.</summary>
    public async Task<int> WaitAsync(TimeSpan? deadline = null)
    {
        await _process.WaitForExitAsync().WaitAsync(deadline ?? Until.Deadline);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync().WaitAsync(Until.Deadline);
        }
        _process.Dispose();
    }

    private void Keep(string? line)
    {
        if (line is not null)
            _lines.Enqueue(line);
    }

    private static ProcessStartInfo Info(string program, string[] args, IReadOnlyDictionary<string, string?>? environment)
    {
        var info = new ProcessStartInfo(program, args)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
            info.Environment[name] = value;
        return info;
    }
}

/// <summary>What a program that ran to its end left.</summary>
internal sealed record ToolResult(int ExitCode, string Output, string Error)
{
    /// <summary>What it wrote to standard output; a failure of the test if it did not exit with 0.</summary>
    public string Succeeded => ExitCode == 0 ? Output : throw new InvalidOperationException($"exit {ExitCode}: {Error}{Output}");
}
