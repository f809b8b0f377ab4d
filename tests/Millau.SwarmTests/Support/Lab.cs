using System.Diagnostics;

namespace Millau.SwarmTests.Support;

/// <summary>One Engine of the lab: how to command it, and the address at which its published ports are reached.</summary>
internal sealed record Node(string Name, string DockerHost, string Address)
{
    /// <summary>Runs the docker client against this Engine.</summary>
    /// <returns>What it printed, trimmed.</returns>
    /// <exception cref="InvalidOperationException">The command failed; the message holds what it said.</exception>
    public Task<string> DockerAsync(params string[] args) => Shell.RunAsync("docker", args, DockerHost);

    public Task<string> DockerInputAsync(string input, params string[] args) => Shell.RunAsync("docker", args, DockerHost, input);

    /// <summary>Acts on this node's dockerd alone: start, stop, kill, pause or resume.</summary>
    public Task EngineAsync(string action) => Shell.RunAsync(Lab.Script, ["engine", Name, action], DockerHost);
}

/// <summary>The lab that <c>./test</c> started (tests/lab/lab), found through the environment.</summary>
internal static class Lab
{
    public static bool IsPresent { get; } = Environment.GetEnvironmentVariable("MILLAU_LAB") is { Length: > 0 };

    public static string Script => Variable("MILLAU_LAB");

    /// <summary>The manager of the Swarm; the shared Millau runs on it.</summary>
    public static Node A => NodeOf("A");

    /// <summary>The worker.</summary>
    public static Node B => NodeOf("B");

    /// <summary>A plain Engine with live-restore, no part of the Swarm.</summary>
    public static Node C => NodeOf("C");

    /// <summary>The address from which these tests send.</summary>
    public static string ClientAddress => Variable("MILLAU_LAB_CLIENT_ADDRESS");

    /// <summary>The repository's root: stack files and figures.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>An empty directory that containers on every node can mount, removed with the lab.</summary>
    public static string Directory(string name) => System.IO.Directory.CreateDirectory(
        Path.Combine(Variable("MILLAU_LAB_DIR"), "shared", $"{name}-{Guid.NewGuid():N}")).FullName;

    /// <summary>Skips the calling test when no lab is there.</summary>
    public static void Require()
    {
        if (!IsPresent)
            Assert.Skip("needs the lab of three Engines: run ./test as root on Debian");
    }

    private static Node NodeOf(string name) =>
        new(name.ToLowerInvariant(), Variable($"MILLAU_LAB_{name}_HOST"), Variable($"MILLAU_LAB_{name}_ADDRESS"));

    private static string Variable(string name) => Environment.GetEnvironmentVariable(name)
        ?? throw new InvalidOperationException($"{name} is not set: run these tests through ./test");

    private static string FindRoot()
    {
        for (var directory = AppContext.BaseDirectory; directory is not null; directory = Path.GetDirectoryName(directory))
            if (File.Exists(Path.Combine(directory, "Millau.slnx")))
                return directory;
        throw new InvalidOperationException("Millau.slnx is in no directory above the tests");
    }
}

internal static class Shell
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(90);

    public static async Task<string> RunAsync(string program, string[] args, string dockerHost, string? input = null)
    {
        var start = new ProcessStartInfo(program, args)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["DOCKER_HOST"] = dockerHost, ["DOCKER_CONTEXT"] = null, ["DOCKER_CLI_HINTS"] = "false" },
        };
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        if (input is not null)
            await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        using var deadline = new CancellationTokenSource(Deadline);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', args)}: no end after {Deadline.TotalSeconds} s");
        }
        return process.ExitCode == 0
            ? (await output).Trim()
            : throw new InvalidOperationException($"{program} {string.Join(' ', args)}: exit {process.ExitCode}: {await error}{await output}");
    }
}
