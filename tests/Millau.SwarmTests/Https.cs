using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Millau.SwarmTests.Support;

namespace Millau.SwarmTests;

/// <summary>
/// TLS in a real Swarm: the stack file of blue and green unchanged, and certificates in a stack beside it. curl verifies each
/// host's certificate against the authority of the test.
/// </summary>
[Collection(nameof(Alone))]
public sealed class Https : IDisposable
{
    /// <summary>Published by deploy/docker-compose.proxy.yml.</summary>
    private const int Port = 8443;

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _root;
    private readonly string _rootFile = Path.GetTempFileName();
    private byte _serial;

    public Https()
    {
        Lab.Require();
        var request = new CertificateRequest("CN=Test authority", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        _root = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));
        File.WriteAllText(_rootFile, _root.ExportCertificatePem());
    }

    [Fact]
    public async Task Blue_and_green_over_https_each_host_with_its_certificate()
    {
        await using var certificates = await Stack.DeployAsync("certificates",
            Holder("company", "company.com"), Holder("blue", "blue.local"), Holder("green", "green.local"));
        await using var stack = await Stack.DeployFileAsync("bluegreen", "docker-compose.bluegreen.yml");
        await SharedMillau.Proxy.UntilAsync("blue answers", "blue.local", a => a.Body.Trim() == "blue", "/api/");
        await SharedMillau.Proxy.UntilAsync("green answers", "green.local", a => a.Body.Trim() == "green", "/api/");

        foreach (var (option, version) in new[] { ("--http1.1", "1.1"), ("--http2", "2") })
        {
            var both = new HashSet<string>();
            for (var i = 0; i < 6; i++) both.Add(await CurlAsync(option, "company.com", "/api/", version));
            Assert.Equal(["blue", "green"], both.Order());
            Assert.Equal("green", await CurlAsync(option, "green.local", "/api/", version));
            Assert.Equal("blue", await CurlAsync(option, "blue.local", "/api/", version));
            // No certificate has this name: what is shown is the self-signed one.
            await Assert.ThrowsAsync<InvalidOperationException>(() => CurlAsync(option, "company.local", "/api/", version));
        }
    }

    [Fact]
    public async Task Certificates_are_swapped_under_load_without_a_failed_request()
    {
        const int swaps = 10;
        var app = new EchoSpec("app", "swap.test") { Labels = [.. Labels("swap.test", "swap-0.test")], Replicas = 2 };
        await using var stack = await Stack.DeployAsync("swap", app);
        await SharedMillau.Proxy.UntilInstancesAsync(app.Host, 2);
        await Until.TrueAsync("the first certificate is shown", () => IsShownAsync("swap.test", "swap-0.test"));
        var failures = new ConcurrentQueue<string>();
        using var stop = new CancellationTokenSource();
        var requests = 0;
        var clients = new[] { "--http1.1", "--http2" }.Select(async option =>
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    await CurlAsync(option, "swap.test", "/", option == "--http2" ? "2" : "1.1");
                }
                catch (Exception e) when (e is InvalidOperationException or TimeoutException)
                {
                    failures.Enqueue(e.Message);
                }
                Interlocked.Increment(ref requests);
            }
        }).ToArray();

        for (var swap = 1; swap <= swaps; swap++)
        {
            var labels = Labels("swap.test", $"swap-{swap}.test");
            await stack.UpdateAsync("app", "--label-add", labels[0], "--label-add", labels[1]);
            var name = $"swap-{swap}.test";
            await Until.TrueAsync($"{name} is shown", () => IsShownAsync("swap.test", name));
        }
        await stop.CancelAsync();
        await Task.WhenAll(clients);
        Figures.Add($"{swaps} certificates swapped", $"{requests} requests on new connections, {failures.Count} failed");
        Assert.Empty(failures);
        Assert.True(requests >= swaps, $"only {requests} requests: too few to show anything");
    }

    public void Dispose()
    {
        _root.Dispose();
        _key.Dispose();
        File.Delete(_rootFile);
    }

    /// <summary>A service that nothing is routed to: it only has a certificate.</summary>
    private EchoSpec Holder(string name, string host) =>
        new(name, "holder.test") { Labels = ["millau.enabled=false", .. Labels(host)], Replicas = 0 };

    private string[] Labels(params string[] names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + names[0], key, HashAlgorithmName.SHA256);
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var name in names) alternatives.AddDnsName(name);
        request.CertificateExtensions.Add(alternatives.Build());
        using var certificate = request.Create(_root, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(20), [1, ++_serial]);
        return [$"millau.cert={Base64(certificate.ExportCertificatePem())}", $"millau.key={Base64(key.ExportPkcs8PrivateKeyPem())}"];
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));

    private async Task<string> CurlAsync(string option, string host, string path, string version)
    {
        var output = await Shell.RunAsync("curl",
        [
            "-sS", "--fail", "--max-time", "40", option, "--cacert", _rootFile, "--resolve", $"{host}:{Port}:{Lab.A.Address}",
            "-w", "\n%{http_version}", $"https://{host}:{Port}{path}",
        ], Lab.A.DockerHost);
        var lines = output.Split('\n');
        Assert.Equal(version, lines[^1].Trim());
        return string.Join('\n', lines[..^1]).Trim();
    }

    private static async Task<bool> IsShownAsync(string host, string name)
    {
        var shown = await Shell.RunAsync("sh",
            ["-c", "openssl s_client -connect $0 -servername $1 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName", $"{Lab.A.Address}:{Port}", host],
            Lab.A.DockerHost);
        return shown.Contains(name, StringComparison.Ordinal);
    }
}
