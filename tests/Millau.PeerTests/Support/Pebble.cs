using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;

namespace Millau.PeerTests.Support;

/// <summary>
/// Let's Encrypt's test server, with a DNS server that says one address to everything. It comes to look at challenges on the
/// ports of a Millau that is yet to start, refuses good nonces, and takes its time.
/// </summary>
internal sealed class Pebble : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("millau-pebble-").FullName;
    private readonly int[] _ports = Ports.Free(6);
    private readonly Dictionary<string, string?> _environment;
    private readonly IPAddress _address;
    private readonly IPAddress _validated;
    private Tool? _names;
    private Tool? _server;

    private Pebble(Dictionary<string, string?> environment, IPAddress address, IPAddress validated)
    {
        _environment = environment;
        _address = address;
        _validated = validated;
    }

    /// <summary>For <c>ACME</c>.</summary>
    public string Url => $"https://{(IPAddress.IsLoopback(_address) ? "localhost" : _address)}:{_ports[0]}/dir";

    /// <summary>For <c>ACME_CA</c>: the root of the directory's own certificate, not of those that are issued.</summary>
    public string Root => Path.Combine(_directory, "root.pem");

    /// <summary>A directory for Millau's state, gone with this.</summary>
    public string Data => Path.Combine(_directory, "data");

    /// <summary>Ports that Millau is to listen on.</summary>
    public int Http => _ports[4];

    public int Https => _ports[5];

    /// <summary>What pebble logged.</summary>
    public string Output => _server?.Output ?? "";

    /// <summary>The root of the certificates that it issues, in PEM; another one after each start.</summary>
    public async Task<string> IssuerAsync()
    {
        using var handler = new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, _, _, _) => true } };
        using var client = new HttpClient(handler);
        return await client.GetStringAsync(new Uri($"https://{_address}:{_ports[1]}/roots/0"));
    }

    /// <summary>Certificates that it issued.</summary>
    public int Issued => Output.Split("Issued certificate serial").Length - 1;

    /// <summary>Settings that make Millau its client.</summary>
    public (string, string?)[] Settings => [
        ("HTTP", $"{Http}"), ("HTTPS", $"{Https}"), ("ACME", Url), ("ACME_CA", Root), ("ACME_DATA", Data),
        ("ACME_EMAIL", "admin@millau-peer.org")];

    /// <param name="badNonces">How many of a hundred good nonces are refused.</param>
    /// <param name="delay">The longest time, in seconds, before a challenge is looked at; it is chosen at random.</param>
    /// <param name="validity">Of certificates.</param>
    /// <param name="httpPort">Where http-01 is looked for; Millau's own port if null.</param>
    /// <param name="tlsPort">The same for tls-alpn-01.</param>
    /// <param name="externalAccount">Key id and base64url key that accounts must be bound to; null for none.</param>
    /// <param name="start">Whether it is up already when this returns.</param>
    /// <param name="address">Where it listens; loopback if null.</param>
    /// <param name="validated">What all names lead to; loopback if null.</param>
    public static async Task<Pebble> StartAsync(
        int badNonces = 20, int delay = 1, TimeSpan? validity = null, int? httpPort = null, int? tlsPort = null,
        (string Kid, string Key)? externalAccount = null, bool start = true, IPAddress? address = null, IPAddress? validated = null)
    {
        var config = new JsonObject
        {
            ["externalAccountBindingRequired"] = externalAccount is not null,
            ["domainBlocklist"] = new JsonArray("blocked.millau-peer.org"),
            ["certificateValidityPeriod"] = (long)(validity ?? TimeSpan.FromDays(90)).TotalSeconds,
        };
        if (externalAccount is { } account)
            config["externalAccountMACKeys"] = new JsonObject { [account.Kid] = account.Key };
        var environment = new Dictionary<string, string?>
        {
            ["PEBBLE_WFE_NONCEREJECT"] = $"{badNonces}",
            ["PEBBLE_VA_SLEEPTIME"] = $"{Math.Max(delay, 1)}",
            ["PEBBLE_VA_NOSLEEP"] = delay == 0 ? "1" : null,
        };
        var pebble = new Pebble(environment, address ?? IPAddress.Loopback, validated ?? IPAddress.Loopback);
        config["listenAddress"] = $"{pebble._address}:{pebble._ports[0]}";
        config["managementListenAddress"] = $"{pebble._address}:{pebble._ports[1]}";
        config["certificate"] = Path.Combine(pebble._directory, "cert.pem");
        config["privateKey"] = Path.Combine(pebble._directory, "key.pem");
        config["httpPort"] = httpPort ?? pebble.Http;
        config["tlsPort"] = tlsPort ?? pebble.Https;
        pebble.WriteCertificates();
        await File.WriteAllTextAsync(Path.Combine(pebble._directory, "config.json"), new JsonObject { ["pebble"] = config }.ToJsonString());
        pebble._names = Tool.Start("pebble-challtestsrv",
            ["-defaultIPv4", $"{pebble._validated}", "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "",
             "-dns01", $"127.0.0.1:{pebble._ports[2]}", "-management", $"127.0.0.1:{pebble._ports[3]}"]);
        if (start) await pebble.UpAsync();
        return pebble;
    }

    /// <summary>Starts it; it remembers nothing of a run before.</summary>
    public async Task UpAsync()
    {
        _server = Tool.Start("pebble", ["-config", Path.Combine(_directory, "config.json"), "-dnsserver", $"127.0.0.1:{_ports[2]}"], _environment);
        await Until.TrueAsync(() =>
        {
            Assert.False(_server.HasEnded, Output);
            return Output.Contains("ACME directory available");
        }, "pebble up");
    }

    public async Task DownAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
        _server = null;
    }

    /// <summary>Makes the DNS server give an address that nothing can be sent to.</summary>
    public async Task MisleadAsync(string name)
    {
        using var client = new HttpClient();
        using var body = new StringContent($$"""{"host":"{{name}}","addresses":["255.255.255.255"]}""", Encoding.UTF8, "application/json");
        using var answer = await client.PostAsync(new Uri($"http://127.0.0.1:{_ports[3]}/add-a"), body);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>The certificate that a handshake for a name gives.</summary>
    public async Task<X509Certificate2> HandshakeAsync(string name)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, Https);
        X509Certificate2? certificate = null;
        await using var tls = new SslStream(socket.GetStream(), false, (_, sent, _, _) =>
        {
            certificate = X509CertificateLoader.LoadCertificate(sent!.GetRawCertData());
            return true;
        });
        await tls.AuthenticateAsClientAsync(name);
        return certificate ?? throw new AuthenticationException("no certificate");
    }

    /// <summary>Waits until a handshake for each name gives a certificate of this server that covers it.</summary>
    public async Task<X509Certificate2> CertifiedAsync(Func<string> log, params string[] names)
    {
        X509Certificate2? last = null;
        foreach (var name in names)
        {
            try
            {
                await Until.TrueAsync(async () =>
                {
                    last = await HandshakeAsync(name);
                    return last.Issuer.Contains("Pebble", StringComparison.Ordinal) && last.MatchesHostname(name);
                }, $"a certificate for {name}");
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"{e.Message}\n{log()}\n{Output}", e);
            }
        }
        return last!;
    }

    public async ValueTask DisposeAsync()
    {
        await DownAsync();
        if (_names is not null) await _names.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private void WriteCertificates()
    {
        using var rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var rootRequest = new CertificateRequest("CN=Root of the test", rootKey, HashAlgorithmName.SHA256);
        rootRequest.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        rootRequest.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(rootRequest.PublicKey, false));
        // Valid for long in both directions, for clocks that are set wrong on purpose.
        var (from, to) = (DateTimeOffset.UtcNow.AddYears(-2), DateTimeOffset.UtcNow.AddYears(2));
        using var root = rootRequest.CreateSelfSigned(from, to);
        File.WriteAllText(Root, root.ExportCertificatePem());

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(_address);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], false));
        using var certificate = request.Create(root, from, to, RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(Path.Combine(_directory, "cert.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(_directory, "key.pem"), key.ExportECPrivateKeyPem());
    }
}
