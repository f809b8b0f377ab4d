using System.Diagnostics;
using System.Globalization;
using Millau.SwarmTests.Support;

namespace Millau.SwarmTests;

/// <summary>The image as shipped: what it needs, what it takes, how it starts and stops.</summary>
[Collection(nameof(Alone))]
public class TheContainer
{
    public TheContainer() => Lab.Require();

    [Theory]
    [InlineData("")]
    [InlineData("65532")]
    public async Task Runs_on_a_read_only_root_without_capabilities(string user)
    {
        await using var network = await Bridge.CreateAsync(Lab.C, $"strict{user}");
        // Not root: then the socket's group must be the main group, as its number is the host's matter.
        string[] asUser = user.Length == 0 ? [] : ["--user", $"{user}:{await Shell.RunAsync(Lab.Script, ["gid", "c"], Lab.C.DockerHost)}"];
        await using var container = await Container.RunMillauAsync(Lab.C, network.Name,
            ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "48m", .. asUser]);
        await using var echo = await Container.RunEchoAsync(Lab.C, network.Name, "app", "strict.test");
        var millau = await container.ProxyAsync();
        await millau.UntilAsync("the service answers", "strict.test", a => a.Status == 200);
        var health = "";
        await Until.TrueAsync("the health check succeeds", async () =>
            (health = await container.InspectAsync("{{.State.Health.Status}}")) == "healthy", () => health);
    }

    [Fact]
    public async Task Behind_a_socket_proxy_it_needs_GET_on_the_listed_paths_alone()
    {
        await using var network = await Bridge.CreateAsync(Lab.C, "filtered");
        await using var proxy = new SocketProxy(Lab.C);
        await using var container = await RunBehindAsync(proxy, network);
        var millau = await container.ProxyAsync();
        await using (await Container.RunEchoAsync(Lab.C, network.Name, "filtered", "filtered.test"))
            await millau.UntilAsync("the service answers", "filtered.test", a => a.Status == 200);
        await millau.UntilAsync("its end is seen", "filtered.test", a => a.Status == 502);
        Assert.Empty(proxy.Refused);
        Assert.Contains(proxy.Passed, line => line.Contains("/events", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Where_a_socket_proxy_refuses_events_it_says_so_and_finds_changes_by_reading()
    {
        await using var network = await Bridge.CreateAsync(Lab.C, "eventless");
        await using var proxy = new SocketProxy(Lab.C, refused: "/events");
        await using var container = await RunBehindAsync(proxy, network);
        var millau = await container.ProxyAsync();
        await using var echo = await Container.RunEchoAsync(Lab.C, network.Name, "eventless", "eventless.test");
        await millau.UntilAsync("the service answers", "eventless.test", a => a.Status == 200);
        Assert.Matches("/events.*403", await container.LogAsync());
    }

    // As an operator who trusts nobody: no root, nothing to write to, no capabilities, no socket.
    private static Task<Container> RunBehindAsync(SocketProxy proxy, Bridge network) => Container.RunAsync(Lab.C, "millau:latest",
        ["-p", "80", "--network", network.Name, "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--user", "65532:65532", "--env", $"DOCKER_HOST={proxy.DockerHost}", "--env", "ACME=off"]);

    [Fact]
    public async Task Its_size_is_under_24_MB()
    {
        var bytes = long.Parse(await Lab.C.DockerAsync("image", "inspect", "--format", "{{.Size}}", "millau:latest"), CultureInfo.InvariantCulture);
        Figures.Add("image size", string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:F1} MB"));
        // 0.9 MB of it buy 4.6 % fewer instructions a request (--Ot in the project).
        Assert.InRange(bytes, 1_000_000, 24_000_000);
    }

    [Fact]
    public async Task Serves_within_200_ms_of_its_start()
    {
        await using var network = await Bridge.CreateAsync(Lab.C, "start");
        await using var echo = await Container.RunEchoAsync(Lab.C, network.Name, "app", "start.test");
        var times = new List<TimeSpan>();
        for (var i = 0; i < 5; i++)
        {
            await using var container = await Container.RunMillauAsync(Lab.C, network.Name, "--restart", "no");
            var millau = await container.ProxyAsync();
            await millau.UntilAsync("the service answers", "start.test", a => a.Status == 200);
            // Started once to learn its port; stopped and started, so that asking begins before it runs.
            await Lab.C.DockerAsync("stop", container.Id);
            var start = container.Node.DockerAsync("start", container.Id);
            DateTime? answered = null;
            Proxy? proxy = null;
            await Until.TrueAsync("the service answers again", async () =>
            {
                if (proxy is null && start.IsCompletedSuccessfully)
                    proxy = await container.ProxyAsync();
                return proxy is not null && (await proxy.TryAsync("start.test")).Status == 200 && (answered = DateTime.UtcNow) is not null;
            });
            times.Add(answered!.Value - await container.StartedAsync());
        }
        times.Sort();
        Figures.Add("container start to first proxied answer, median of 5 (with the docker client's own time)", times[2]);

        // The same binary without the docker client between: from exec to an answer on its port.
        var exec = new List<TimeSpan>();
        for (var i = 0; i < 9; i++)
            exec.Add(await StartBinaryAsync());
        exec.Sort();
        Figures.Add("process start to serving, median of 9", exec[4]);
        Assert.InRange(exec[4], TimeSpan.Zero, TimeSpan.FromMilliseconds(200));
    }

    [Fact]
    public async Task Stopping_lets_requests_in_flight_finish_and_ends_with_0()
    {
        await using var network = await Bridge.CreateAsync(Lab.C, "drain");
        await using var container = await Container.RunMillauAsync(Lab.C, network.Name);
        await using var echo = await Container.RunEchoAsync(Lab.C, network.Name, "app", "drain.test");
        var millau = await container.ProxyAsync();
        await millau.UntilAsync("the service answers", "drain.test", a => a.Status == 200);

        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        using var wire = new Wire();
        await wire.ConnectAsync(millau.Address, millau.Port, deadline.Token);
        await wire.SendAsync("GET", "drain.test", "/events?count=2&interval=3000", null, "", deadline.Token);
        // The first event is here, so the request is under way; the second comes after Millau was told to stop.
        while (!(await wire.LineAsync(deadline.Token)).Contains("data:"))
        {
        }
        var stop = Lab.C.DockerAsync("stop", "--time", "20", container.Id);
        await millau.UntilAsync("new connections are refused", "drain.test", a => a.Status == 0);
        Assert.False(stop.IsCompleted);
        while (!(await wire.LineAsync(deadline.Token)).Contains("data:"))
        {
        }
        await stop;
        Assert.Equal("0", await container.InspectAsync("{{.State.ExitCode}}"));
    }

    [Fact]
    public async Task A_wrong_setting_stops_it_with_one_line()
    {
        await using var container = await Container.RunAsync(Lab.C, "millau:latest", ["--env", "HTTP=eighty"]);
        await Until.TrueAsync("it ends", async () => await container.InspectAsync("{{.State.Status}}") == "exited");
        Assert.NotEqual("0", await container.InspectAsync("{{.State.ExitCode}}"));
        var line = Assert.Single((await container.LogAsync()).Split('\n'), l => l.Contains("FATAL"));
        Assert.Contains("HTTP", line);
        Assert.Contains("eighty", line);
    }

    [Fact]
    public async Task An_Engine_with_live_restore_stopped_started_and_hung_loses_no_request()
    {
        await using var network = await Bridge.CreateAsync(Lab.C, "restart");
        // The directory rather than the socket's file: a restarted Engine makes a new file. And the host's network, because an
        // Engine takes down the published ports of its containers and sets them up again, live-restore or not.
        await using var container = await Container.RunAsync(Lab.C, "millau:latest",
            ["--network", "host", "--env", "HTTP=:8100", "-v", "/var/run:/var/run:ro"]);
        var record = Lab.Directory("restart-plain");
        string[] options = ["-v", $"{record}:/record", "--env", "RECORD=/record"];
        await using var one = await Container.RunEchoAsync(Lab.C, network.Name, "app", "restart.test", options);
        await using var two = await Container.RunEchoAsync(Lab.C, network.Name, "app", "restart.test", options);
        var millau = new Proxy(Lab.C.Address, 8100);
        await millau.UntilInstancesAsync("restart.test", 2);
        await using var load = new Load("restart.test", record, millau);
        await load.MoreAsync(100);
        await Lab.C.EngineAsync("stop");
        try
        {
            await load.MoreAsync(1000);
        }
        finally
        {
            await Lab.C.EngineAsync("start");
        }
        var clock = Stopwatch.StartNew();
        await using var three = await Container.RunEchoAsync(Lab.C, network.Name, "app", "restart.test", options);
        await millau.UntilInstancesAsync("restart.test", 3, TimeSpan.FromSeconds(60));
        Figures.Add("Engine back: a new container is routed after (docker run included)", clock.Elapsed);
        await Lab.C.EngineAsync("pause");
        try
        {
            await load.MoreAsync(3500);
        }
        finally
        {
            await Lab.C.EngineAsync("resume");
        }
        await load.EndAsync("plain Docker with live-restore: Engine stopped for 3 s, started, then hung for 10 s");
    }

    [Fact]
    public async Task Memory_stays_under_40_MB_under_load()
    {
        await using var network = await Bridge.CreateAsync(Lab.C, "memory");
        await using var container = await Container.RunMillauAsync(Lab.C, network.Name);
        await using var echo = await Container.RunEchoAsync(Lab.C, network.Name, "app", "memory.test");
        var millau = await container.ProxyAsync();
        await millau.UntilAsync("the service answers", "memory.test", a => a.Status == 200);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        // 64 connections without a pause, 500 requests each, while the memory is read.
        var clients = Enumerable.Range(0, 64).Select(_ => Task.Run(async () =>
        {
            using var wire = new Wire();
            await wire.ConnectAsync(millau.Address, millau.Port, deadline.Token);
            for (var i = 0; i < 500; i++)
            {
                await wire.SendAsync("GET", "memory.test", "/", null, "", deadline.Token);
                Assert.Equal(200, (await wire.ReadAsync(deadline.Token)).Status);
            }
        })).ToArray();
        var all = Task.WhenAll(clients);
        var peak = 0.0;
        while (!all.IsCompleted)
            peak = Math.Max(peak, await MemoryAsync(container));
        await all;
        Figures.Add("memory under load, 64 connections (docker stats)", string.Create(CultureInfo.InvariantCulture, $"{peak:F1} MiB"));
        Assert.InRange(peak, 1, 40);
    }

    private static async Task<double> MemoryAsync(Container container)
    {
        var used = (await Lab.C.DockerAsync("stats", "--no-stream", "--format", "{{.MemUsage}}", container.Id)).Split('/')[0].Trim();
        return used.EndsWith("MiB", StringComparison.Ordinal) ? double.Parse(used[..^3], CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"memory in an unexpected unit: {used}");
    }

    private static async Task<TimeSpan> StartBinaryAsync()
    {
        using var probe = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        probe.Start();
        var port = ((System.Net.IPEndPoint)probe.LocalEndpoint).Port;
        probe.Stop();
        var info = new ProcessStartInfo(Path.Combine(Lab.Root, "artifacts", "rootfs", "millau", "millau"))
        {
            Environment = { ["HTTP"] = $"{port}", ["HTTPS"] = "", ["DOCKER_HOST"] = Lab.C.DockerHost, ["ACME"] = "off" },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var clock = Stopwatch.StartNew();
        using var process = Process.Start(info) ?? throw new InvalidOperationException("millau did not start");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        try
        {
            var proxy = new Proxy("127.0.0.1", port);
            while ((await proxy.TryAsync("nobody.test")).Status == 0)
                if (clock.Elapsed > Until.Usual)
                    throw new TimeoutException("millau does not answer");
            return clock.Elapsed;
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }
}
