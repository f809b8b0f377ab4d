using System.Text;

namespace Millau.Bench;

/// <summary>One kind of load, the same for every proxy.</summary>
internal sealed record Workload(string Name, string Title, string Path, int AnswerBytes)
{
    public const int JsonBytes = 129;

    public int UploadBytes { get; init; }
    public int Connections { get; init; } = 64;
    public bool KeepAlive { get; init; } = true;

    /// <summary>Over TLS, with a certificate of this kind; null for plain HTTP.</summary>
    public CertificateKind? Tls { get; init; }

    /// <summary>HTTP/2, loaded by h2load; else HTTP/1.1, by wrk.</summary>
    public bool IsHttp2 { get; init; }

    /// <summary>A connection with a full TLS handshake for each request, by h2load: wrk would resume sessions.</summary>
    public bool IsHandshake => Tls is not null && !KeepAlive;

    /// <summary>The proxy, the client and the origin share all cores; else the proxy has one of its own.</summary>
    public bool IsOnAllCores { get; init; }

    /// <summary>Asks at random for one of so many hosts, <c>s0.test</c> and on; 0 for the address itself.</summary>
    public int Hosts { get; init; }

    /// <summary>Bodies are large enough for a proxy's buffering to matter, so nginx is also run with streaming on.</summary>
    public bool HasLargeBodies { get; init; }

    public static IReadOnlyList<Workload> All { get; } =
    [
        new("json", "GET of 129 bytes of JSON, kept alive, 64 connections", "/json", JsonBytes),
        new("one", "GET of 129 bytes of JSON, one connection, one after the other", "/json", JsonBytes) { Connections = 1 },
        new("all-cores", "GET of 129 bytes of JSON, kept alive, 64 connections; proxy, client and origin share all cores", "/json", JsonBytes)
            { IsOnAllCores = true },
        new("get100k", "GET of 100 KB, kept alive, 64 connections", "/100k", 100 * 1024) { HasLargeBodies = true },
        new("post5m", "POST of 5 MB, kept alive, 8 connections", "/upload", JsonBytes)
            { UploadBytes = 5 * 1024 * 1024, Connections = 8, HasLargeBodies = true },
        new("close", "GET of 129 bytes of JSON, a new connection each, 64 at a time", "/json", JsonBytes) { KeepAlive = false },
        new("https", "GET of 129 bytes of JSON over TLS 1.3, kept alive, 64 connections", "/json", JsonBytes) { Tls = CertificateKind.Ecdsa },
        new("handshake-rsa", "GET over TLS 1.3, a full handshake each, RSA 2048, 400 a second", "/json", JsonBytes)
            { Tls = CertificateKind.Rsa, KeepAlive = false },
        new("handshake-ecdsa", "GET over TLS 1.3, a full handshake each, ECDSA P-256, 400 a second", "/json", JsonBytes)
            { Tls = CertificateKind.Ecdsa, KeepAlive = false },
        new("h2", "GET of 129 bytes of JSON over HTTP/2 and TLS 1.3, 64 connections of 10 streams", "/json", JsonBytes)
            { Tls = CertificateKind.Ecdsa, IsHttp2 = true },
    ];

    /// <summary>Where a proxy is asked.</summary>
    public string Url(RunningProxy proxy) =>
        Tls is null ? $"http://127.0.0.1:{proxy.Port}{Path}" : $"https://{BenchCertificate.Host}:{proxy.TlsPort}{Path}";

    /// <summary>The origin's JSON answer: exactly <see cref="JsonBytes"/> bytes.</summary>
    public static string Json { get; } = MakeJson();

    /// <summary>The script for wrk; it prints one line that <see cref="Wrk"/> reads.</summary>
    public string Script()
    {
        var script = new StringBuilder();
        if (!KeepAlive)
            script.AppendLine("wrk.headers['Connection'] = 'close'");
        if (UploadBytes > 0)
        {
            script.AppendLine("wrk.method = 'POST'");
            script.AppendLine("wrk.headers['Content-Type'] = 'application/octet-stream'");
            script.AppendLine($"wrk.body = string.rep('0123456789abcdef', {UploadBytes / 16})");
        }
        if (Hosts > 0)
            script.AppendLine($$"""
                local requests = {}
                init = function(args)
                  for i = 0, {{Hosts - 1}} do requests[i] = wrk.format('GET', wrk.path, { Host = 's' .. i .. '.test' }) end
                end
                request = function() return requests[math.random(0, {{Hosts - 1}})] end
                """);
        script.AppendLine("""
            done = function(summary, latency, requests)
              local e = summary.errors
              io.write(string.format('RESULT %d %d %d %d %d %d %d\n', summary.requests, summary.duration,
                latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout,
                latency.mean, latency.min))
            end
            """);
        return script.ToString();
    }

    private static string MakeJson()
    {
        const string Start = """{"id":4711,"name":"espresso","price":{"amount":"2.40","currency":"EUR"},"stock":128,"tags":["coffee","hot"],"note":" """;
        var json = Start.TrimEnd();
        return json + new string('x', JsonBytes - json.Length - 2) + "\"}";
    }
}
