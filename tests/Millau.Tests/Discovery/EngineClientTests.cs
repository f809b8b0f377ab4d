using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Millau.Demo;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class EngineClientTests
{
    private static readonly DiscoveryTiming Short = new() { CallDeadline = TimeSpan.FromMilliseconds(300) };

    [Theory]
    [InlineData("1.41", "1.12", "1.41")]
    [InlineData("1.51", "1.44", "1.51")]
    [InlineData("1.54", "1.44", "1.51")]
    [InlineData("1.70", "1.60", "1.70")]
    public async Task The_version_is_the_smaller_one_unless_the_engine_refuses_it(string newest, string oldest, string used)
    {
        await using var engine = await EngineStandIn.StartAsync();
        engine.ApiVersion = Version.Parse(newest);
        engine.OldestApiVersion = Version.Parse(oldest);
        using var client = Client(engine);
        Assert.Null(await client.NegotiateAsync(default));
        Assert.Equal(used, client.ApiVersion);
        Assert.NotNull((await client.GetServicesAsync([], default)).Value);
        Assert.Contains($"/v{used}/services", engine.Requests);
    }

    [Theory]
    [InlineData(403, "forbidden by the proxy", EngineFaultKind.Forbidden)]
    [InlineData(500, "rpc error: no leader", EngineFaultKind.Failed)]
    [InlineData(404, "service x not found", EngineFaultKind.NotFound)]
    [InlineData(503, "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.", EngineFaultKind.NoSwarm)]
    [InlineData(503, "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.", EngineFaultKind.NoManager)]
    [InlineData(503, "<html>No server is available</html>", EngineFaultKind.Failed)]
    public async Task A_status_becomes_a_fault_with_the_path_and_the_engine_s_words(int status, string message, object kind)
    {
        await using var engine = await EngineStandIn.StartAsync();
        using var client = Client(engine);
        engine.Fault("/services", EngineStandIn.Status(status, message));
        var fault = (await client.GetServicesAsync([], default)).Fault!;
        Assert.Equal((EngineFaultKind)kind, fault.Kind);
        Assert.StartsWith($"GET /services: status {status}", fault.ToString(), StringComparison.Ordinal);
        Assert.Contains(message[..10], fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("text/html", "<html>hello</html>")]
    [InlineData("application/json", "[{\"ID\":\"a\",\"Sp")]
    [InlineData("application/json", "{\"message\":\"odd\"}")]
    [InlineData("application/json", "null")]
    [InlineData("application/json", "")]
    public async Task A_body_that_is_not_the_expected_json_is_a_fault(string type, string body)
    {
        await using var engine = await EngineStandIn.StartAsync();
        using var client = Client(engine);
        engine.Fault("/services", EngineStandIn.Body(type, body));
        Assert.Equal(EngineFaultKind.BadBody, (await client.GetServicesAsync([], default)).Fault?.Kind);
    }

    [Fact]
    public async Task A_call_that_hangs_ends_at_its_deadline()
    {
        await using var engine = await EngineStandIn.StartAsync();
        using var client = Client(engine, Short);
        engine.Fault("/services", EngineStandIn.Hang());
        engine.Fault("/events", EngineStandIn.Hang());
        Assert.Equal(EngineFaultKind.TimedOut, (await client.GetServicesAsync([], default)).Fault?.Kind);
        Assert.Equal(EngineFaultKind.TimedOut, (await client.OpenEventsAsync(default)).Fault?.Kind);
    }

    [Fact]
    public async Task An_engine_that_is_gone_is_unreachable()
    {
        var engine = await EngineStandIn.StartAsync();
        using var client = Client(engine);
        await engine.StopAsync();
        Assert.Equal(EngineFaultKind.Unreachable, (await client.NegotiateAsync(default))?.Kind);
    }

    [Fact]
    public async Task Large_lists_are_read_whole()
    {
        await using var engine = await EngineStandIn.StartAsync();
        var service = new StandInService("s", "app");
        engine.Change(e =>
        {
            for (var i = 0; i < 3000; i++)
                e.Tasks.Add(new StandInTask($"task{i}", service));
        });
        using var client = Client(engine);
        Assert.Equal(3000, (await client.GetTasksAsync([], default)).Value!.Count);
    }

    [Fact]
    public async Task Tls_trusts_the_given_authority_and_no_other()
    {
        using var authority = Authority("ours");
        using var other = Authority("theirs");
        using var server = Issue(authority, "127.0.0.1");
        await using var engine = await EngineStandIn.StartAsync(certificate: server);
        var host = engine.DockerHost;
        using (var good = new CertificateDirectory(authority))
        {
            Assert.True(EngineEndpoint.TryParse(host, "1", good.Path, out var endpoint, out var error), error);
            using var client = new EngineClient(endpoint!, new DiscoveryTiming(), TimeProvider.System);
            Assert.Null(await client.NegotiateAsync(default));
        }

        using (var bad = new CertificateDirectory(other))
        {
            Assert.True(EngineEndpoint.TryParse(host, "1", bad.Path, out var endpoint, out var error), error);
            using var client = new EngineClient(endpoint!, new DiscoveryTiming(), TimeProvider.System);
            Assert.Equal(EngineFaultKind.Unreachable, (await client.NegotiateAsync(default))?.Kind);

            Assert.True(EngineEndpoint.TryParse(host, "", bad.Path, out endpoint, out error), error);
            using var careless = new EngineClient(endpoint!, new DiscoveryTiming(), TimeProvider.System);
            Assert.Null(await careless.NegotiateAsync(default));
        }
    }

    private static EngineEndpoint Endpoint(EngineStandIn engine)
    {
        Assert.True(EngineEndpoint.TryParse(engine.DockerHost, null, null, out var endpoint, out var error), error);
        return endpoint!;
    }

    private static EngineClient Client(EngineStandIn engine, DiscoveryTiming? timing = null) =>
        new(Endpoint(engine), timing ?? new DiscoveryTiming(), TimeProvider.System);

    private static X509Certificate2 Authority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private static X509Certificate2 Issue(X509Certificate2 authority, string address)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + address, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Parse(address));
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.Create(
            authority, authority.NotBefore, authority.NotAfter, RandomNumberGenerator.GetBytes(8));
        return certificate.CopyWithPrivateKey(key);
    }

    private sealed class CertificateDirectory : IDisposable
    {
        public CertificateDirectory(X509Certificate2 authority)
        {
            using var client = Issue(authority, "127.0.0.1");
            using var key = client.GetECDsaPrivateKey()!;
            File.WriteAllText(System.IO.Path.Combine(Path, "ca.pem"), authority.ExportCertificatePem());
            File.WriteAllText(System.IO.Path.Combine(Path, "cert.pem"), client.ExportCertificatePem());
            File.WriteAllText(System.IO.Path.Combine(Path, "key.pem"), key.ExportPkcs8PrivateKeyPem());
        }

        public string Path { get; } = Directory.CreateTempSubdirectory("millau-tls-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
