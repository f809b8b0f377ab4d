using System.Net;
using System.Net.Sockets;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests.Hostile;

/// <summary>
/// The rows of docs/hostile.md against the native binary, played by varnishtest: another client, another server, another reader of
/// HTTP. The files are in tests/varnish; MILLAU_WRITE_VTC=1 writes them anew.
/// </summary>
public class VarnishTests
{
    private static string Directory => Path.Combine(MillauBinary.Root, "tests/varnish");

    [Fact]
    public void The_files_are_those_of_the_lists()
    {
        var files = VarnishFiles.All().ToDictionary(f => f.Name, f => f.Text);
        if (Environment.GetEnvironmentVariable("MILLAU_WRITE_VTC") is not null)
            foreach (var (name, text) in files) File.WriteAllText(Path.Combine(Directory, name), text);

        Assert.Equal(files.Keys.Order(StringComparer.Ordinal), System.IO.Directory.GetFiles(Directory).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal));
        Assert.All(files, f => Assert.Equal(f.Value, File.ReadAllText(Path.Combine(Directory, f.Key))));
    }

    [Theory]
    [InlineData("refused")]
    [InlineData("harmless")]
    [InlineData("response")]
    public async Task Each_row_holds(string kind)
    {
        var origin = Ports.Free();
        await using var engine = await EngineStandIn.StartAsync();
        await using var millau = await MillauBinary.StartAsync(engine, ("LOGGING", "INFO"));
        // Millau knocks until somebody opens; after that the port belongs to the servers of the files.
        using (var knock = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            knock.Bind(new IPEndPoint(IPAddress.Loopback, origin));
            knock.Listen(16);
            var service = StandInStack.Add(engine, "app", origin, ("millau.retry", "0.001"));
            StandInStack.Run(engine, service, 1, "127.0.0.1");
            await Until.TrueAsync(() => millau.Output.Contains("instance up", StringComparison.Ordinal), "instance up");
        }

        foreach (var file in System.IO.Directory.GetFiles(Directory, $"{kind}-*.vtc").Order(StringComparer.Ordinal))
        {
            var result = await Tool.RunAsync("varnishtest", ["-q", "-D", $"millau={millau.Http}", "-D", $"origin={origin}", file], deadline: TimeSpan.FromSeconds(90));
            Assert.True(result.ExitCode == 0, $"{Path.GetFileName(file)}: {result.Output[Math.Max(0, result.Output.Length - 3000)..]}{result.Error}");
        }
    }
}
