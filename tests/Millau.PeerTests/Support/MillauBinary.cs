using System.Globalization;
using System.Net;
using Millau.Demo;

namespace Millau.PeerTests.Support;

/// <summary>
/// Millau as it ships, the native binary in a process of its own on free ports, before a stand-in of the Engine. A test
/// adds services to <see cref="Engine"/> and lets them answer at loopback addresses.
/// </summary>
internal sealed class MillauBinary : IAsyncDisposable
{
    private readonly Tool _process;

    private MillauBinary(Tool process, EngineStandIn engine, int http, int https, int telemetry)
    {
        _process = process;
        Engine = engine;
        Http = http;
        Https = https;
        Telemetry = telemetry;
    }

    public EngineStandIn Engine { get; }

    /// <summary>Port for plain HTTP, on all addresses.</summary>
    public int Http { get; }

    public int Https { get; }

    public int Telemetry { get; }

    public Tool Process => _process;

    /// <summary>What it logged so far.</summary>
    public string Output => _process.Output;

    /// <summary>Where ./test put it: MILLAU_BINARY, else what ./image left.</summary>
    public static string FilePath
    {
        get
        {
            var path = Environment.GetEnvironmentVariable("MILLAU_BINARY") ?? Path.Combine(Root, "artifacts/publish/millau/millau");
            return File.Exists(path) ? path : throw new InvalidOperationException($"{path} is missing: run ./image, or the tests through ./test");
        }
    }

    /// <summary>
    /// What starts it as the image does, without any capability, also where the tests are run by root; words to which arguments may be
    /// added. The user stays the same, for whom the files of the tests are.
    /// </summary>
    public static string[] Command => Environment.IsPrivilegedProcess
        ? ["setpriv", "--inh-caps=-all", "--bounding-set=-all", FilePath]
        : [FilePath];

    /// <summary>The top of the checkout.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Returns when it listens.</summary>
    /// <param name="engine">The caller's, disposed by it; services may be added now or later.</param>
    /// <param name="environment">Added to the settings of the ports and the Engine, or instead of them. ACME is off unless set here.</param>
    public static Task<MillauBinary> StartAsync(EngineStandIn engine, params (string Name, string? Value)[] environment) =>
        StartAsync(Command, engine, isRead: true, environment);

    /// <summary>As the other, started by a program that ends up being it, such as <c>nsenter</c>.</summary>
    public static Task<MillauBinary> StartWithinAsync(
        string[] launcher, EngineStandIn engine, params (string Name, string? Value)[] environment) =>
        StartAsync([.. launcher, .. Command], engine, isRead: true, environment);

    /// <summary>As the other, but nobody takes what it writes, until <see cref="Tool.ReadOutput"/>.</summary>
    public static Task<MillauBinary> StartUnreadAsync(EngineStandIn engine, params (string Name, string? Value)[] environment) =>
        StartAsync(Command, engine, isRead: false, environment);

    private static async Task<MillauBinary> StartAsync(
        string[] command, EngineStandIn engine, bool isRead, (string Name, string? Value)[] environment)
    {
        var ports = Ports.Free(3);
        var settings = new Dictionary<string, string?>
        {
            ["HTTP"] = $"{ports[0]}",
            ["HTTPS"] = $"{ports[1]}",
            ["TELEMETRY"] = $"{ports[2]}",
            ["DOCKER_HOST"] = engine.DockerHost,
            ["ACME"] = "off",
        };
        foreach (var (name, value) in environment)
            settings[name] = value;
        int Port(string name) => int.Parse(settings[name]!, CultureInfo.InvariantCulture);
        var millau = new MillauBinary(Tool.Start(command[0], command[1..], settings, isRead), engine, Port("HTTP"), Port("HTTPS"), Port("TELEMETRY"));
        try
        {
            using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
            await Until.TrueAsync(async () =>
            {
                Assert.False(millau._process.HasEnded, millau.Output);
                return await IsUpAsync(client, millau.Telemetry);
            }, "up");
        }
        catch
        {
            await millau.DisposeAsync();
            throw;
        }
        return millau;
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static async Task<bool> IsUpAsync(HttpClient client, int port)
    {
        try
        {
            using var answer = await client.GetAsync(new Uri($"http://127.0.0.1:{port}/"));
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static string FindRoot()
    {
        for (var directory = AppContext.BaseDirectory; directory is not null; directory = Path.GetDirectoryName(directory))
        {
            if (File.Exists(Path.Combine(directory, "Millau.slnx")))
                return directory;
        }

        throw new InvalidOperationException("Millau.slnx is in no directory above the tests");
    }
}
