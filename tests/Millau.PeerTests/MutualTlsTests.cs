using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests;

/// <summary>Mutual TLS of the native binary, as OpenSSL and curl see it.</summary>
public sealed class MutualTlsTests : IAsyncDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("millau-mtls");

    [Fact]
    public async Task Only_clients_with_a_certificate_of_the_CA_get_in_and_they_are_told_which_CA_that_is()
    {
        await MakeAuthorityAsync("ca");
        await MakeAuthorityAsync("other");
        await IssueAsync("ca", "alice", "clientAuth");
        await IssueAsync("other", "eve", "clientAuth");
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello", ("millau.hosts", "app.test"), ("millau.clientca", Label("ca.pem")));
        await using var millau = await MillauBinary.StartAsync(engine);

        foreach (var http in (string[])["--http1.1", "--http2"])
        {
            Assert.Equal("200", await CurlAsync(millau, http, "--cert", Path("alice.pem"), "--key", Path("alice.key")));
            Assert.Equal("403", await CurlAsync(millau, http));
        }
        foreach (var version in (string[])["-tls1_2", "-tls1_3"])
        {
            var refused = await SayAsync(millau, version, "-cert", Path("eve.pem"), "-key", Path("eve.key"));
            Assert.Contains("HTTP/1.1 403 Forbidden", refused);
            Assert.Contains("Forbidden: the client's certificate comes from a CA that is not trusted: CN=other", refused);
        }
        var asked = await SayAsync(millau, "-cert", Path("alice.pem"), "-key", Path("alice.key"));
        Assert.Contains("HTTP/1.1 200 ", asked);
        Assert.Contains("Acceptable client certificate CA names\nCN = ca\n", asked.Replace("CN=ca", "CN = ca", StringComparison.Ordinal));
    }

    public ValueTask DisposeAsync()
    {
        _directory.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    private string Path(string name) => System.IO.Path.Combine(_directory.FullName, name);

    private string Label(string name) => Convert.ToBase64String(File.ReadAllBytes(Path(name)));

    private async Task MakeAuthorityAsync(string name) => await OpenSslAsync("req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-days", "2", "-keyout", Path(name + ".key"), "-out", Path(name + ".pem"));

    private async Task IssueAsync(string authority, string name, string usage) => await OpenSslAsync("req", "-x509", "-newkey", "ec",
        "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-days", "2", "-keyout", Path(name + ".key"),
        "-out", Path(name + ".pem"), "-CA", Path(authority + ".pem"), "-CAkey", Path(authority + ".key"),
        "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=" + usage);

    private static async Task OpenSslAsync(params string[] args)
    {
        var result = await Tool.RunAsync("openssl", args);
        Assert.True(result.ExitCode == 0, result.Error);
    }

    private static async Task<string> CurlAsync(MillauBinary millau, params string[] args) => (await Tool.RunAsync("curl",
        ["-sk", "-o", "/dev/null", "-w", "%{http_code}", "--resolve", $"app.test:{millau.Https}:127.0.0.1", .. args,
            $"https://app.test:{millau.Https}/"])).Output;

    private static async Task<string> SayAsync(MillauBinary millau, params string[] args)
    {
        var result = await Tool.RunAsync("openssl",
            ["s_client", "-connect", $"127.0.0.1:{millau.Https}", "-servername", "app.test", "-ign_eof", .. args],
            "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
        return result.Output + result.Error;
    }
}
