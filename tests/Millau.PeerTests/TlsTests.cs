using System.Text.Json;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests;

/// <summary>TLS as real clients see it: curl, openssl, and testssl.sh, which looks for weaknesses.</summary>
public sealed class TlsTests : IDisposable
{
    private readonly TestAuthority _authority = new();

    [Theory]
    [InlineData("--http1.1", "1.1")]
    [InlineData("--http2", "2")]
    public async Task Curl_verifies_the_certificate_of_each_host(string option, string version)
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("blue", 1, "blue", [("millau.hosts", "blue.test"), .. _authority.Labels("blue.test")]);
        await swarm.DeployAsync("green", 1, "green", [("millau.hosts", "green.test www.shared.test")]);
        await swarm.DeployAsync("off", 1, "off",
            [("millau.hosts", "off.test"), .. _authority.Labels("green.test", "*.shared.test"), ("millau.enabled", "false")]);
        await using var millau = await MillauBinary.StartAsync(engine);

        foreach (var (host, greeting) in new[] { ("blue.test", "blue"), ("green.test", "green"), ("www.shared.test", "green") })
        {
            var answer = await CurlAsync(millau, host, option);
            Assert.Contains(greeting, answer.Succeeded);
            Assert.EndsWith("version " + version, answer.Output);
            Assert.Contains("X-Forwarded-Proto: https", answer.Output);
        }
        // 60: the certificate is not to be trusted.
        Assert.Equal(60, (await CurlAsync(millau, "other.test", option)).ExitCode);
    }

    [Theory]
    [InlineData("-tls1_2", "TLSv1.2")]
    [InlineData("-tls1_3", "TLSv1.3")]
    [InlineData("-tls1_2 -no_ticket", "TLSv1.2")]
    public async Task Openssl_resumes_its_session(string options, string version)
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello", [("millau.hosts", "app.test"), .. _authority.Labels("app.test")]);
        await using var millau = await MillauBinary.StartAsync(engine);
        var session = Path.Combine(Path.GetDirectoryName(_authority.FilePath)!, "session.pem");

        var first = await OpensslAsync(millau, [.. options.Split(' '), "-sess_out", session]);
        var second = await OpensslAsync(millau, [.. options.Split(' '), "-sess_in", session]);

        Assert.Contains($"New, {version}, Cipher is ", first);
        Assert.Contains("Verify return code: 0 (ok)", first);
        Assert.Contains($"Reused, {version}, Cipher is ", second);
        Assert.Contains("hello", second);
    }

    [Fact]
    public async Task Testssl_finds_nothing_above_LOW()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 1, "hello", [("millau.hosts", "app.test"), .. _authority.Labels("app.test")]);
        await using var millau = await MillauBinary.StartAsync(engine);
        var report = Path.Combine(Path.GetDirectoryName(_authority.FilePath)!, "testssl.json");

        // Protocols, kinds of ciphers, the server's preferences: the quick part. What an authority would have to add to its
        // certificates, such as OCSP, is no matter of Millau's. Nor is whether testssl's own OpenSSL finds an engine for GOST, which it warns of.
        var run = await Tool.RunAsync("testssl",
            ["--quiet", "--color", "0", "--warnings", "off", "-p", "-s", "-P", "--ip", "127.0.0.1", "--jsonfile", report, $"app.test:{millau.Https}"],
            deadline: TimeSpan.FromMinutes(10), environment: new Dictionary<string, string?> { ["NO_ENGINE"] = "true" });

        Assert.True(File.Exists(report), run.Output + run.Error);
        using var findings = JsonDocument.Parse(await File.ReadAllTextAsync(report));
        var all = findings.RootElement.EnumerateArray()
            .Select(f => (Id: f.GetProperty("id").GetString(), Severity: f.GetProperty("severity").GetString(), Text: f.GetProperty("finding").GetString()))
            .ToList();
        Assert.Contains(all, f => f is { Id: "TLS1_3", Severity: "OK" });
        Assert.Contains(all, f => f is { Id: "TLS1_2", Severity: "OK" });
        Assert.Contains(all, f => f.Id == "cipher_order" && f.Severity == "OK");
        Assert.DoesNotContain(all, f => f.Severity is not ("OK" or "INFO" or "LOW" or "DEBUG"));
    }

    public void Dispose() => _authority.Dispose();

    private Task<ToolResult> CurlAsync(MillauBinary millau, string host, string option) => Tool.RunAsync("curl",
    [
        "-sS", option, "--cacert", _authority.FilePath, "--resolve", $"{host}:{millau.Https}:127.0.0.1", "-w", "version %{http_version}",
        $"https://{host}:{millau.Https}/",
    ]);

    /// <summary>One request; the server closes, and by then the client has its tickets.</summary>
    private async Task<string> OpensslAsync(MillauBinary millau, string[] options) => (await Tool.RunAsync("openssl",
    [
        "s_client", "-connect", $"127.0.0.1:{millau.Https}", "-servername", "app.test", "-CAfile", _authority.FilePath, "-ign_eof", .. options,
    ], "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")).Output;
}
