using System.Buffers;
using System.Collections.Concurrent;
using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Millau.Tls.Acme;

/// <summary>
/// The challenges that a CA may come and look at now: files for the plain port, certificates for the handshake. Empty
/// nearly always. Thread-safe.
/// </summary>
internal sealed class Challenges(AlpnChallenges handshakes)
{
    /// <summary>Where a CA looks (RFC 8555 section 8.3).</summary>
    public const string PathPrefix = "/.well-known/acme-challenge/";

    private const string AcmeIdentifier = "1.3.6.1.5.5.7.1.31";

    private static readonly SearchValues<char> TokenCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    private readonly ConcurrentDictionary<string, byte[]> _files = new(StringComparer.Ordinal);
    private volatile int _count;

    /// <summary>RFC 8555 section 8.1: base64url, so that a token cannot be anything else in a path.</summary>
    public static bool IsToken(string token) => token.Length is > 0 and <= 512 && !token.AsSpan().ContainsAnyExcept(TokenCharacters);

    /// <summary>The file that a CA asks for; null for a path of others, who get their requests as ever.</summary>
    /// <param name="path">The path of a request, as sent.</param>
    public byte[]? FindFile(ReadOnlySpan<char> path) =>
        _count > 0 && path.StartsWith(PathPrefix, StringComparison.Ordinal)
        && _files.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(path[PathPrefix.Length..], out var file)
            ? file
            : null;

    public void AddHttp(string token, string keyAuthorization)
    {
        if (_files.TryAdd(token, Encoding.ASCII.GetBytes(keyAuthorization))) Interlocked.Increment(ref _count);
    }

    public void RemoveHttp(string token)
    {
        if (_files.TryRemove(token, out _)) Interlocked.Decrement(ref _count);
    }

    public void AddAlpn(string host, string keyAuthorization) => handshakes.Set(host, CertificateFor(host, keyAuthorization));

    public void RemoveAlpn(string host) => handshakes.Remove(host);

    /// <summary>Self-signed, for one name, with the digest of the key authorization in a critical extension (RFC 8737 section 3).</summary>
    public static X509Certificate2 CertificateFor(string host, string keyAuthorization)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(new X500DistinguishedName("CN=ACME challenge"), key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(host);
        request.CertificateExtensions.Add(names.Build());
        var digest = new AsnWriter(AsnEncodingRules.DER);
        digest.WriteOctetString(SHA256.HashData(Encoding.ASCII.GetBytes(keyAuthorization)));
        request.CertificateExtensions.Add(new X509Extension(AcmeIdentifier, digest.Encode(), critical: true));
        // Nobody looks at the dates; generous, for clocks that differ.
        var now = DateTimeOffset.UtcNow;
        return request.CreateSelfSigned(now.AddDays(-7), now.AddDays(7));
    }
}
