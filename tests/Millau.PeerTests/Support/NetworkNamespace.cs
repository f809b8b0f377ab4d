using System.Globalization;

namespace Millau.PeerTests.Support;

/// <summary>
/// A network of its own (<c>ip netns</c>) with nothing but a loopback interface, in which packets can be made to disappear. It and
/// what runs in it are gone when it is disposed. Needs root.
/// </summary>
internal sealed class NetworkNamespace : IAsyncDisposable
{
    private readonly string _name = $"millau-{Guid.NewGuid().ToString("N")[..8]}";
    private readonly List<Tool> _tools = [];

    private NetworkNamespace()
    {
    }

    public static async Task<NetworkNamespace> CreateAsync()
    {
        var network = new NetworkNamespace();
        _ = (await Tool.RunAsync("ip", ["netns", "add", network._name])).Succeeded;
        _ = (await Tool.RunAsync("ip", ["-n", network._name, "link", "set", "lo", "up"])).Succeeded;
        return network;
    }

    /// <summary>Starts a program in it; ended with it.</summary>
    public Tool Start(string program, IReadOnlyDictionary<string, string?> environment, params string[] args)
    {
        var tool = Tool.Start("ip", ["netns", "exec", _name, program, .. args], environment);
        _tools.Add(tool);
        return tool;
    }

    /// <summary>Starts Millau in it, without any capability.</summary>
    public Tool StartMillau(IReadOnlyDictionary<string, string?> environment) =>
        Start(MillauBinary.Command[0], environment, MillauBinary.Command[1..]);

    /// <summary>Runs a program in it to its end.</summary>
    public Task<ToolResult> RunAsync(string program, params string[] args) => Tool.RunAsync("ip", ["netns", "exec", _name, program, .. args]);

    /// <summary>Appends a rule for packets that arrive; <c>-j DROP</c> and the like.</summary>
    public async Task FilterAsync(params string[] rule) => _ = (await RunAsync("iptables", ["-w", "-A", "INPUT", .. rule])).Succeeded;

    /// <summary>Lets all packets pass again.</summary>
    public async Task PassAllAsync() => _ = (await RunAsync("iptables", "-w", "-F")).Succeeded;

    /// <summary>A request by curl: its status, 0 if there was no answer, and how long it took.</summary>
    public async Task<(int Status, TimeSpan Time)> GetAsync(string url, params string[] options)
    {
        var result = await RunAsync("curl", ["-s", "-m", "50", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", .. options, url]);
        var parts = result.Output.Split(' ');
        return (int.Parse(parts[0], CultureInfo.InvariantCulture), TimeSpan.FromSeconds(double.Parse(parts[1], CultureInfo.InvariantCulture)));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var tool in _tools) await tool.DisposeAsync();
        await Tool.RunAsync("ip", ["netns", "del", _name]);
    }
}
