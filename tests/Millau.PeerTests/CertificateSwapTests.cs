using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests;

/// <summary>Certificates change while clients send requests in every way they may.</summary>
public sealed class CertificateSwapTests : IDisposable
{
    private const int Swaps = 100, Clients = 4;

    private readonly TestAuthority _authority = new();
    private readonly ConcurrentQueue<string> _failures = new();
    private readonly int[] _requests = new int[Clients];

    [Fact]
    public async Task A_hundred_swaps_under_load_cost_no_request()
    {
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("app", 2, "hello", [("millau.hosts", "app.test"), .. _authority.Labels("app.test", "swap-0.test")]);
        await using var millau = await MillauBinary.StartAsync(engine);
        using var stop = new CancellationTokenSource();
        var clients = new[]
        {
            ClientAsync(0, millau, HttpVersion.Version11, close: false, stop.Token),
            ClientAsync(1, millau, HttpVersion.Version11, close: true, stop.Token),
            ClientAsync(2, millau, HttpVersion.Version11, close: true, stop.Token),
            ClientAsync(3, millau, HttpVersion.Version20, close: false, stop.Token),
        };

        for (var swap = 1; swap <= Swaps; swap++)
        {
            var labels = _authority.Labels("app.test", $"swap-{swap}.test");
            var service = engine.Services.Single(s => s.Name == "app");
            engine.Change(_ =>
            {
                foreach (var (name, value) in labels) service.Labels[name] = value;
            });
            engine.Emit("service", "update", service.Id);
            await Until.TrueAsync(async () => (await ShownAsync(millau)).Contains($"swap-{swap}.test"), $"swap {swap} in force");
            // Two more of each client: the second was sent after the swap.
            var before = Counted();
            await Until.TrueAsync(() => Counted().Zip(before).All(c => c.First >= c.Second + 2), $"each client goes on after swap {swap}");
        }
        await stop.CancelAsync();
        await Task.WhenAll(clients);

        Assert.True(_failures.IsEmpty, string.Join('\n', _failures.Distinct()));
        TestContext.Current.SendDiagnosticMessage($"{Swaps} swaps, {Counted().Sum()} requests, 0 failed");
        Assert.DoesNotContain("certificate wrong", millau.Output);
    }

    public void Dispose() => _authority.Dispose();

    /// <summary>One request after the other, each verified against the authority; what fails is kept.</summary>
    private async Task ClientAsync(int number, MillauBinary millau, Version version, bool close, CancellationToken stop)
    {
        using var client = new HttpClient(Handler(millau)) { Timeout = Until.Deadline };
        while (!stop.IsCancellationRequested)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"https://app.test:{millau.Https}/");
            (request.Version, request.VersionPolicy) = (version, HttpVersionPolicy.RequestVersionExact);
            request.Headers.ConnectionClose = close ? true : null;
            try
            {
                using var answer = await client.SendAsync(request, CancellationToken.None);
                if (!answer.IsSuccessStatusCode || !(await answer.Content.ReadAsStringAsync(CancellationToken.None)).Contains("hello"))
                    _failures.Enqueue($"HTTP/{version} {answer.StatusCode}");
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException)
            {
                _failures.Enqueue($"HTTP/{version} {e.Message} {e.InnerException}");
            }
            Interlocked.Increment(ref _requests[number]);
        }
    }

    /// <summary>Requests that each client has behind it.</summary>
    private ImmutableArray<int> Counted() => [.. Enumerable.Range(0, Clients).Select(i => Volatile.Read(ref _requests[i]))];

    private SocketsHttpHandler Handler(MillauBinary millau) => new()
    {
        UseProxy = false,
        ConnectCallback = async (_, cancellation) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(IPAddress.Loopback, millau.Https, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
        SslOptions = Options(),
    };

    private SslClientAuthenticationOptions Options() => new()
    {
        TargetHost = "app.test",
        CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { _authority.Root },
            RevocationMode = X509RevocationMode.NoCheck,
        },
    };

    /// <summary>The names of the certificate that a new connection is shown.</summary>
    private async Task<string[]> ShownAsync(MillauBinary millau)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, millau.Https);
        await using var tls = new SslStream(new NetworkStream(socket));
        await tls.AuthenticateAsClientAsync(Options());
        using var shown = new X509Certificate2(tls.RemoteCertificate!);
        return [.. shown.Extensions.OfType<X509SubjectAlternativeNameExtension>().Single().EnumerateDnsNames()];
    }
}
