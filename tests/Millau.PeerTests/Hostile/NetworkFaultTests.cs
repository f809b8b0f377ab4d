using System.Globalization;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests.Hostile;

/// <summary>
/// What networks do to connections, in a network of its own with the native binary and two instances: packets that disappear, are
/// answered with resets, or are lost now and then; a network cut in two; no local ports left. What is measured is printed.
/// </summary>
public class NetworkFaultTests
{
    private const string First = "127.45.0.2", Second = "127.45.0.3", Both = "127.45.0.0/24";
    private const int Port = 8000;
    private const string Url = "http://127.0.0.1:8080/text";

    [Fact]
    public async Task An_instance_in_a_black_hole_costs_no_request()
    {
        await using var place = await Place.CreateAsync();
        await place.Network.FilterAsync("-p", "tcp", "-d", First, "-j", "DROP");

        var slowest = await AllAreServedAsync(place, 40, "black hole");

        // A kept connection says nothing for millau.timeout (2 s), or a new one is given up after 1 s; then the instance is left out.
        Assert.InRange(slowest.TotalSeconds, 0.5, 10);
    }

    [Fact]
    public async Task An_instance_that_resets_everything_costs_no_request()
    {
        await using var place = await Place.CreateAsync();
        await place.Network.FilterAsync("-p", "tcp", "-d", First, "-j", "REJECT", "--reject-with", "tcp-reset");

        Assert.InRange((await AllAreServedAsync(place, 40, "resets")).TotalSeconds, 0, 10);
    }

    [Fact]
    public async Task A_network_that_loses_packets_costs_time_alone()
    {
        await using var place = await Place.CreateAsync();
        await place.Network.FilterAsync("-p", "tcp", "-d", Both, "-m", "statistic", "--mode", "random", "--probability", "0.03", "-j", "DROP");
        await place.Network.FilterAsync("-p", "tcp", "-s", Both, "-m", "statistic", "--mode", "random", "--probability", "0.03", "-j", "DROP");

        Assert.InRange((await AllAreServedAsync(place, 100, "3 % loss each way")).TotalSeconds, 0, 20);
        var download = await place.Network.GetAsync("http://127.0.0.1:8080/bytes?n=3000000");
        Assert.Equal(200, download.Status);
    }

    [Fact]
    public async Task A_partition_is_answered_and_healed()
    {
        await using var place = await Place.CreateAsync();
        await place.Network.FilterAsync("-p", "tcp", "-d", Both, "-j", "DROP");
        await place.Network.FilterAsync("-p", "tcp", "-s", Both, "-j", "DROP");
        var cut = await place.Network.GetAsync(Url);
        Assert.InRange(cut.Status, 502, 504);
        Assert.InRange(cut.Time.TotalSeconds, 0, 15);

        await place.Network.PassAllAsync();
        var started = System.Diagnostics.Stopwatch.GetTimestamp();
        await Until.TrueAsync(async () => (await place.Network.GetAsync(Url)).Status == 200, "served again");
        Print($"partition: answered {cut.Status} after {Seconds(cut.Time)}, served again after {Seconds(System.Diagnostics.Stopwatch.GetElapsedTime(started))}");
    }

    [Fact]
    public async Task An_instance_that_vanishes_in_the_midst_of_its_answer_is_noticed_and_the_client_is_cut()
    {
        await using var place = await Place.CreateAsync();
        var client = place.Network.GetAsync("http://127.0.0.1:8080/events?count=1000&interval=200", "-v");
        await Until.TrueAsync(async () => (await place.Network.RunAsync("ss", "-Htn", "state", "established", "dport", $"= :{Port}")).Output.Length > 0, "connected");
        await Task.Delay(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken);
        await place.Network.FilterAsync("-p", "tcp", "-d", Both, "-j", "DROP");
        await place.Network.FilterAsync("-p", "tcp", "-s", Both, "-j", "DROP");

        // TCP keep-alive finds it after about 30 s; curl would wait for 50.
        var (_, time) = await client;
        Print($"vanished in the midst of an answer: the client is cut after {Seconds(time)}");
        Assert.InRange(time.TotalSeconds, 1, 48);
    }

    [Fact]
    public async Task Without_local_ports_requests_are_shed_and_afterwards_all_is_well()
    {
        const int clients = 60;
        await using var place = await Place.CreateAsync();
        // Sixteen to each instance; the clients have addresses of their own.
        _ = (await place.Network.RunAsync("sysctl", "-w", "net.ipv4.ip_local_port_range=40000 40015")).Succeeded;
        var args = new List<string> { "-s", "-Z", "--parallel-max", $"{clients}" };
        for (var i = 1; i <= clients; i++)
        {
            if (i > 1) args.Add("--next");
            args.AddRange(["-s", "--interface", $"127.46.0.{i}", "-m", "30", "-o", "/dev/null", "-w", "%{http_code}\n", Url + "?delay=1500"]);
        }
        var statuses = (await place.Network.RunAsync("curl", [.. args])).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

        Print($"ports exhausted: {string.Join(", ", statuses.GroupBy(s => s).OrderBy(g => g.Key, StringComparer.Ordinal).Select(g => $"{g.Count()} x {g.Key}"))}");
        Assert.Equal(clients, statuses.Length);
        Assert.All(statuses, s => Assert.True(s is "200" or "502" or "503", s));
        Assert.Contains("200", statuses);
        Assert.Contains(statuses, s => s != "200");
        Assert.Equal(200, (await place.Network.GetAsync(Url, "--interface", "127.46.0.200")).Status);
        Assert.False(place.Millau.HasEnded);
    }

    [Fact]
    public async Task An_engine_whose_name_nobody_resolves_is_asked_for_again_and_again()
    {
        await using var network = await NetworkNamespace.CreateAsync();
        var millau = network.StartMillau(Place.Settings("tcp://engine.invalid:2375"));

        await Until.TrueAsync(() => millau.Output.Contains("engine.invalid", StringComparison.Ordinal), "said");
        await Until.TrueAsync(async () => (await network.GetAsync("http://127.0.0.1:9100/")).Status == 503, "unhealthy");
        // It listens after five seconds without an Engine too.
        await Until.TrueAsync(async () => (await network.GetAsync(Url)).Status == 502, "says that nothing is routed");
        Assert.False(millau.HasEnded);
    }

    [Fact]
    public async Task A_client_in_the_midst_of_its_handshake_when_millau_stops_is_served()
    {
        // Nothing but its first packet reaches Millau.
        const string held = "127.46.0.7";
        await using var place = await Place.CreateAsync();
        await place.Network.FilterAsync("-p", "tcp", "-d", held, "--dport", "8080", "--tcp-flags", "SYN,ACK", "ACK", "-j", "DROP");

        // In one program, as little time as possible passes until the handshake can go on: Millau waits a second for it.
        var client = await place.Network.RunAsync("bash", "-c", $$"""
            exec 3<>/dev/tcp/{{held}}/8080 || exit 10
            ss -Htn state syn-recv sport = :8080 | grep -q {{held}} || exit 11
            kill -TERM {{place.Millau.Id}}
            for i in {1..1000}; do (exec 4<>/dev/tcp/127.0.0.1/8080) 2>/dev/null || break; sleep 0.002; done
            kill -0 {{place.Millau.Id}} || exit 12
            iptables -w -F
            printf 'GET /text HTTP/1.1\r\nHost: app.test\r\n\r\n' >&3
            timeout 20 cat <&3
            """);

        Assert.True(client.ExitCode == 0 && client.Output.StartsWith("HTTP/1.1 200 OK\r\n", StringComparison.Ordinal), $"{client}\n{place.Millau.Output}");
        Assert.Contains("Connection: close\r\n", client.Output, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(0, await place.Millau.WaitAsync());
    }

    private static async Task<TimeSpan> AllAreServedAsync(Place place, int requests, string what)
    {
        var slowest = TimeSpan.Zero;
        for (var i = 0; i < requests; i++)
        {
            var (status, time) = await place.Network.GetAsync(Url);
            Assert.Equal(200, status);
            if (time > slowest) slowest = time;
        }
        Print($"{what}: {requests} of {requests} GETs answered, the slowest in {Seconds(slowest)}");
        return slowest;
    }

    private static string Seconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.00} s");

    private static void Print(string figure) => Console.WriteLine($"fault: {figure}");

    /// <summary>Millau and two instances, both known to be up, in a network of their own; the Engine is outside.</summary>
    private sealed class Place(NetworkNamespace network, EngineStandIn engine) : IAsyncDisposable
    {
        public NetworkNamespace Network => network;

        public required Tool Millau { get; init; }

        public static Dictionary<string, string?> Settings(string engine) => new()
        {
            ["HTTP"] = "8080", ["HTTPS"] = "8443", ["TELEMETRY"] = "9100", ["DOCKER_HOST"] = engine, ["ACME"] = "off",
        };

        public static async Task<Place> CreateAsync()
        {
            var network = await NetworkNamespace.CreateAsync();
            var socket = Path.Combine(Path.GetTempPath(), $"millau-engine-{Guid.NewGuid():N}.sock");
            var engine = await EngineStandIn.StartAsync(socket);
            var service = StandInStack.Add(engine, "app", Port, ("millau.timeout", "2"), ("millau.retry", "1"));
            foreach (var address in (string[])[First, Second])
            {
                var echo = network.Start(
                    Path.Combine(MillauBinary.Root, "tests/EchoService/bin/Debug/net10.0/echo"),
                    new Dictionary<string, string?> { ["PORT"] = $"{Port}", ["ADDRESS"] = address, ["NAME"] = address });
                await Until.TrueAsync(() => echo.Output.Contains("listening", StringComparison.Ordinal), $"{address} listens: {echo.Output}");
                StandInStack.Run(engine, service, address == First ? 1 : 2, address);
            }
            var place = new Place(network, engine) { Millau = network.StartMillau(Settings(engine.DockerHost)) };
            await Until.TrueAsync(() => place.Millau.Output.Split("instance up").Length == 3, $"both instances are up: {place.Millau.Output}");
            for (var i = 0; i < 4; i++) Assert.Equal(200, (await network.GetAsync(Url)).Status);
            return place;
        }

        public async ValueTask DisposeAsync()
        {
            await network.DisposeAsync();
            await engine.DisposeAsync();
        }
    }
}
