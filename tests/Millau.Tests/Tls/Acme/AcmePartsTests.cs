using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Millau.Tests.Wire;
using Millau.Tls;
using Millau.Tls.Acme;

namespace Millau.Tests.Tls.Acme;

/// <summary>Names, signatures, ids of certificates, challenges and files.</summary>
public sealed class AcmePartsTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("millau-acme-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("example.com", true)]
    [InlineData("a.b.example.co", true)]
    [InlineData("xn--mnchen-3ya.de", true)]
    [InlineData("internal.com", true)]
    [InlineData("*", false)]
    [InlineData("example", false)]
    [InlineData("localhost", false)]
    [InlineData("a.localhost", false)]
    [InlineData("printer.local", false)]
    [InlineData("db.internal", false)]
    [InlineData("a.test", false)]
    [InlineData("a.example", false)]
    [InlineData("a.invalid", false)]
    [InlineData("home.arpa", false)]
    [InlineData("nas.home.arpa", false)]
    [InlineData("10.0.0.1", false)]
    [InlineData("[::1]", false)]
    [InlineData("1.2.3", false)]
    [InlineData("a_b.com", false)]
    public void Only_public_names_are_asked_for(string host, bool isPublic) => Assert.Equal(isPublic, AcmeNames.IsPublic(host));

    [Fact]
    public void A_request_is_signed_with_the_key_that_it_shows()
    {
        using var key = AccountKey.Create();
        using var same = AccountKey.FromPem(key.ToPem());
        var jws = JsonNode.Parse(same.Sign(new Uri("https://ca.test/new"), "nonce", null, "{}"u8))!;
        var header = JsonNode.Parse(Base64Url.DecodeFromChars((string)jws["protected"]!))!;

        Assert.Equal(key.Thumbprint, same.Thumbprint);
        Assert.Equal("ES256", (string?)header["alg"]);
        Assert.Equal("nonce", (string?)header["nonce"]);
        Assert.Equal("https://ca.test/new", (string?)header["url"]);
        using var shown = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = { X = Base64Url.DecodeFromChars((string)header["jwk"]!["x"]!), Y = Base64Url.DecodeFromChars((string)header["jwk"]!["y"]!) },
        });
        Assert.True(shown.VerifyData(Encoding.ASCII.GetBytes($"{jws["protected"]}.{jws["payload"]}"),
            Base64Url.DecodeFromChars((string)jws["signature"]!), HashAlgorithmName.SHA256));
    }

    [Fact]
    public void A_certificate_is_known_by_its_authoritys_key_and_its_serial_number()
    {
        // The example of RFC 9773 section 4.1.
        var authority = Convert.FromHexString("69885B6B87464041E1B37B847BA0AE2CDE01C8D4");
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=a", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromSubjectKeyIdentifier(authority));
        var now = DateTimeOffset.UtcNow;
        using var certificate = request.Create(new X500DistinguishedName("CN=ca"), X509SignatureGenerator.CreateForECDsa(key), now, now.AddDays(1),
            Convert.FromHexString("0087654321"));

        Assert.Equal("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", RenewalInfo.IdOf(certificate));
    }

    [Fact]
    public void The_moment_of_renewal_is_within_the_window_and_stays_while_that_stays()
    {
        var start = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var chosen = Enumerable.Range(0, 100).Select(i => RenewalInfo.Choose($"{i}", start, start.AddDays(2))).ToList();

        Assert.All(chosen, c => Assert.InRange(c, start, start.AddDays(2)));
        Assert.Equal(100, chosen.Distinct().Count());
        // Spread over the window, not heaped.
        Assert.InRange(chosen.Count(c => c < start.AddDays(1)), 25, 75);
        Assert.Equal(chosen[7], RenewalInfo.Choose("7", start, start.AddDays(2)));
        Assert.NotEqual(chosen[7], RenewalInfo.Choose("7", start, start.AddDays(3)));
    }

    [Theory]
    [InlineData(null, 6 * 3600)]
    [InlineData(0, 60)]
    [InlineData(7200, 7200)]
    [InlineData(1_000_000, 86400)]
    public void Renewals_are_asked_for_as_often_as_the_ca_wants_within_bounds(int? retryAfter, int seconds) =>
        Assert.Equal(seconds, RenewalInfo.NextCheck(retryAfter is { } r ? TimeSpan.FromSeconds(r) : null).TotalSeconds);

    [Fact]
    public void The_certificate_of_a_challenge_has_the_name_and_the_digest()
    {
        using var certificate = Challenges.CertificateFor("a.com", "token.thumbprint");

        var extension = certificate.Extensions.Single(e => e.Oid!.Value == "1.3.6.1.5.5.7.1.31");
        Assert.True(extension.Critical);
        Assert.Equal([0x04, 0x20, .. SHA256.HashData("token.thumbprint"u8)], extension.RawData);
        Assert.Equal(["a.com"], CertificateNames.Read(certificate));
    }

    [Fact]
    public async Task Our_own_challenges_are_answered_before_routing_and_all_others_go_to_the_service()
    {
        await using var instance = ScriptedInstance.Answering("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ntheirs");
        await using var proxy = await TestProxy.StartAsync(TestProxy.Service(instance.EndPoint) with { RedirectsToHttps = true });
        proxy.Proxy.Challenges.AddHttp("ours", "ours.thumbprint");

        var answer = await proxy.GetAsync("/.well-known/acme-challenge/ours");
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", answer);
        Assert.EndsWith("\r\n\r\nours.thumbprint", answer);
        Assert.EndsWith("theirs", await proxy.GetAsync("/.well-known/acme-challenge/theirs"));

        proxy.Proxy.Challenges.RemoveHttp("ours");
        Assert.Null(proxy.Proxy.Challenges.FindFile("/.well-known/acme-challenge/ours"));
    }

    [Fact]
    public void A_file_is_replaced_whole_and_what_a_killed_process_left_does_not_matter()
    {
        var path = Path.Combine(_directory, "deep", "file");
        DurableFile.Write(path, "one"u8.ToArray());
        File.WriteAllText(Path.Combine(_directory, "deep", ".file.new"), "half of a write");

        DurableFile.Write(path, "two"u8.ToArray());

        Assert.Equal("two", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(Path.GetDirectoryName(path)!));
    }

    [Fact]
    public void What_cannot_be_written_leaves_what_was_there()
    {
        var path = Path.Combine(_directory, "file");
        DurableFile.Write(path, "one"u8.ToArray());

        Assert.ThrowsAny<IOException>(() => DurableFile.Write(Path.Combine(path, "below-a-file"), "two"u8.ToArray()));

        Assert.Equal("one", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(_directory));
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", AcmeFaultKind.Nonsense)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", AcmeFaultKind.Nonsense)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", AcmeFaultKind.Nonsense)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull", AcmeFaultKind.Nonsense)]
    [InlineData("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", AcmeFaultKind.Nonsense)]
    [InlineData("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n", AcmeFaultKind.Busy)]
    [InlineData("no HTTP\r\n\r\n", AcmeFaultKind.Unreachable)]
    public async Task An_answer_that_is_none_is_a_fault(string response, object fault)
    {
        await using var instance = ScriptedInstance.Answering(response);
        using var http = new AcmeHttp(null, TimeProvider.System);

        var answer = await new AcmeClient(http, new Uri($"http://{instance.EndPoint}/dir")).GetDirectoryAsync(CancellationToken.None);

        var kind = (AcmeFaultKind)fault;
        Assert.Equal(kind, answer.Fault!.Kind);
        Assert.Equal(kind == AcmeFaultKind.Busy ? TimeSpan.FromMinutes(1) : null, answer.Fault.RetryAfter);
    }
}
