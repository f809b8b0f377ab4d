using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Millau.Tests.Tls.Acme;

/// <summary>
/// A certificate authority that does and says what a test wants, what pebble cannot: renewal information, profiles, limits,
/// and another time. It looks at no challenge and checks no signature; pebble does.
/// </summary>
internal sealed class ScriptedCa : IAsyncDisposable
{
    private readonly ConcurrentDictionary<int, Order> _orders = new();
    private readonly X509Certificate2 _root;
    private readonly TimeProvider _time;
    private WebApplication _app = null!;
    private int _lastNonce;

    private ScriptedCa(TimeProvider time)
    {
        _time = time;
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Scripted CA", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        _root = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddYears(-50), DateTimeOffset.UtcNow.AddYears(50));
    }

    /// <summary>For <c>ACME</c>.</summary>
    public Uri Url { get; private set; } = null!;

    /// <summary>Its clock less that of the test.</summary>
    public TimeSpan Clock { get; set; }

    public TimeSpan Validity { get; set; } = TimeSpan.FromDays(90);

    /// <summary>What it says of the renewal of a certificate, by its id; null if it has no such thing.</summary>
    public Func<string, (DateTimeOffset Start, DateTimeOffset End)>? Renewal { get; set; }

    public string[] Profiles { get; set; } = [];

    /// <summary>Why a name fails; null if it does not.</summary>
    public Func<string, string?> Fails { get; set; } = _ => null;

    /// <summary>Answers a request to a path in its stead; null to let it go on.</summary>
    public Func<string, JsonObject?, Answer?> Refuses { get; set; } = (_, _) => null;

    /// <summary>All orders that were made, in order.</summary>
    public ConcurrentQueue<OrderMade> Orders { get; } = new();

    /// <summary>All paths that were asked for.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    private DateTimeOffset Now => _time.GetUtcNow() + Clock;

    public static async Task<ScriptedCa> StartAsync(TimeProvider time)
    {
        var ca = new ScriptedCa(time);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        ca._app = builder.Build();
        ca._app.Run(ca.HandleAsync);
        await ca._app.StartAsync();
        ca.Url = new Uri(ca._app.Urls.Single() + "/dir");
        return ca;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        _root.Dispose();
    }

    private async Task HandleAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        Requests.Enqueue(path);
        var response = context.Response;
        response.Headers.Date = Now.ToString("R", CultureInfo.InvariantCulture);
        response.Headers["Replay-Nonce"] = $"n{Interlocked.Increment(ref _lastNonce)}";
        var payload = await ReadAsync(context.Request);
        var answer = Refuses(path, payload) ?? Respond(path, payload);
        response.StatusCode = answer.Status;
        if (answer.RetryAfter is { } seconds) response.Headers.RetryAfter = $"{seconds}";
        if (answer.Location is { } location) response.Headers.Location = location;
        response.ContentType = answer.Body is JsonNode ? "application/json" : "application/pem-certificate-chain";
        if (!HttpMethods.IsHead(context.Request.Method)) await response.WriteAsync(answer.Body?.ToString() ?? "");
    }

    private static async Task<JsonObject?> ReadAsync(HttpRequest request)
    {
        if (!HttpMethods.IsPost(request.Method)) return null;
        var jws = await JsonNode.ParseAsync(request.Body);
        var payload = Encoding.UTF8.GetString(Base64Url.DecodeFromChars((string)jws!["payload"]!));
        return payload.Length == 0 ? null : (JsonObject?)JsonNode.Parse(payload);
    }

    private Answer Respond(string path, JsonObject? payload)
    {
        var parts = path.Split('/');
        return parts[1] switch
        {
            "dir" => new(200, Directory()),
            "nonce" => new(200, null),
            "account" => new(201, new JsonObject()) { Location = At("account/1") },
            "order" when parts.Length == 2 => Make(payload!),
            "order" => new(200, Show(int.Parse(parts[2], CultureInfo.InvariantCulture))),
            "authorization" => new(200, Authorization(int.Parse(parts[2], CultureInfo.InvariantCulture), parts[3])),
            "challenge" => Look(int.Parse(parts[2], CultureInfo.InvariantCulture), parts[3]),
            "finalize" => Finalize(int.Parse(parts[2], CultureInfo.InvariantCulture), payload!),
            "certificate" => new(200, _orders[int.Parse(parts[2], CultureInfo.InvariantCulture)].Pem),
            "renewal" => Suggest(parts[2]),
            _ => Problem(404, "malformed", "no such thing"),
        };
    }

    public static Answer Problem(int status, string type, string detail, int? retryAfter = null) =>
        new(status, new JsonObject { ["type"] = "urn:ietf:params:acme:error:" + type, ["detail"] = detail }) { RetryAfter = retryAfter };

    private JsonObject Directory()
    {
        var profiles = new JsonObject();
        foreach (var profile in Profiles) profiles[profile] = "a profile";
        var directory = new JsonObject
        {
            ["newNonce"] = At("nonce"),
            ["newAccount"] = At("account"),
            ["newOrder"] = At("order"),
            ["meta"] = new JsonObject { ["termsOfService"] = At("terms"), ["profiles"] = profiles },
        };
        if (Renewal is not null) directory["renewalInfo"] = At("renewal");
        return directory;
    }

    private Answer Make(JsonObject order)
    {
        var names = order["identifiers"]!.AsArray().Select(i => (string)i!["value"]!).ToArray();
        int id;
        // Several come at once, and each is to have a number of its own.
        lock (_orders)
        {
            Orders.Enqueue(new OrderMade(names, (string?)order["replaces"], (string?)order["profile"]));
            id = Orders.Count;
            _orders[id] = new Order(names);
        }
        return new(201, Show(id)) { Location = At($"order/{id}") };
    }

    private JsonObject Show(int id) => new()
    {
        ["status"] = _orders[id].Pem is not null ? "valid"
            : _orders[id].Names.Any(n => _orders[id].Looked.Contains(n) && Fails(n) is not null) ? "invalid"
            : _orders[id].Names.All(_orders[id].Looked.Contains) ? "ready" : "pending",
        ["authorizations"] = new JsonArray([.. _orders[id].Names.Select(n => (JsonNode)At($"authorization/{id}/{n}"))]),
        ["finalize"] = At($"finalize/{id}"),
        ["certificate"] = At($"certificate/{id}"),
    };

    private JsonObject Authorization(int id, string name)
    {
        var looked = _orders[id].Looked.Contains(name);
        var error = looked ? Fails(name) : null;
        var challenge = new JsonObject
        {
            ["type"] = "http-01",
            ["url"] = At($"challenge/{id}/{name}"),
            ["token"] = $"token-{id}-{name.Replace('.', '-')}",
        };
        if (error is not null)
            challenge["error"] = new JsonObject { ["type"] = "urn:ietf:params:acme:error:dns", ["detail"] = error };
        return new()
        {
            ["identifier"] = new JsonObject { ["type"] = "dns", ["value"] = name },
            ["status"] = error is not null ? "invalid" : looked ? "valid" : "pending",
            ["challenges"] = new JsonArray(challenge),
        };
    }

    private Answer Look(int id, string name)
    {
        lock (_orders[id].Looked) _orders[id].Looked.Add(name);
        return new(200, new JsonObject());
    }

    private Answer Finalize(int id, JsonObject payload)
    {
        var csr = CertificateRequest.LoadSigningRequest(Base64Url.DecodeFromChars((string)payload["csr"]!), HashAlgorithmName.SHA256,
            CertificateRequestLoadOptions.UnsafeLoadCertificateExtensions);
        csr.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_root, true, false));
        var now = Now;
        using var certificate = csr.Create(_root, now, now + Validity, RandomNumberGenerator.GetBytes(8));
        _orders[id].Pem = certificate.ExportCertificatePem();
        return new(200, Show(id));
    }

    private Answer Suggest(string id)
    {
        var (start, end) = Renewal!(id);
        return new(200, new JsonObject
        {
            ["suggestedWindow"] = new JsonObject { ["start"] = $"{start:O}", ["end"] = $"{end:O}" },
            ["explanationURL"] = "https://ca.test/why",
        })
        { RetryAfter = 21600 };
    }

    private string At(string path) => new Uri(Url, "/" + path).AbsoluteUri;

    internal sealed record Answer(int Status, object? Body)
    {
        public int? RetryAfter { get; init; }

        public string? Location { get; init; }
    }

    internal sealed record OrderMade(string[] Names, string? Replaces, string? Profile);

    private sealed record Order(string[] Names)
    {
        public HashSet<string> Looked { get; } = [];

        public string? Pem { get; set; }
    }
}
