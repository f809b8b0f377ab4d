namespace Millau.Bench;

/// <summary>What every proxy forwards to, uploads aside: an nginx on the load's cores.</summary>
internal sealed class Origin : IDisposable
{
    private readonly RunningProcess _process;

    private Origin(RunningProcess process, int port) => (_process, Port) = (process, port);

    public int Port { get; }

    public static Origin Start(Options options)
    {
        var port = Ports.Free();
        var directory = Path.Combine(options.Directory, "origin");
        var files = System.IO.Directory.CreateDirectory(Path.Combine(directory, "www")).FullName;
        File.WriteAllText(Path.Combine(files, "json"), Workload.Json);
        File.WriteAllBytes(Path.Combine(files, "100k"), [.. Enumerable.Range(0, 100 * 1024).Select(i => (byte)('a' + i % 26))]);
        var configuration = ProxyKind.Configured(new ProxyPlace(port, port, 0, directory, options), "origin-nginx.conf", "");
        var process = RunningProcess.Start(new Command("nginx", "-e", Path.Combine(directory, "error.log"), "-c", configuration),
            options.LoadCores, options.Directory, "origin");
        for (var deadline = DateTime.UtcNow.AddSeconds(5); !RunningProxy.Answers(port); Thread.Sleep(5))
        {
            if (!process.HasEnded && DateTime.UtcNow < deadline)
                continue;
            var tail = process.Tail;
            process.Dispose();
            throw new InvalidOperationException($"the origin does not answer:\n{tail}");
        }
        return new Origin(process, port);
    }

    public void Dispose() => _process.Dispose();
}
