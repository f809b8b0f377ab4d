using System.Buffers.Binary;
using System.Buffers.Text;
using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Millau.Tls.Acme;

/// <summary>When a CA wants a certificate renewed (RFC 9773), and when it is renewed if the CA does not say.</summary>
internal static class RenewalInfo
{
    /// <summary>RFC 9773 section 4.3.3 for a CA that fails or says nothing of when to ask again.</summary>
    public static readonly TimeSpan UsualCheck = TimeSpan.FromHours(6);

    private static readonly TimeSpan SoonestCheck = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LatestCheck = TimeSpan.FromDays(1);

    /// <summary>What the CA knows a certificate by (RFC 9773 section 4.1); null if it has no authority key identifier.</summary>
    public static string? IdOf(X509Certificate2 certificate)
    {
        foreach (var extension in certificate.Extensions)
        {
            if (extension.Oid?.Value != "2.5.29.35") continue;
            try
            {
                var authority = new X509AuthorityKeyIdentifierExtension(extension.RawData, extension.Critical);
                return authority.KeyIdentifier is { } key
                    ? $"{Base64Url.EncodeToString(key.Span)}.{Base64Url.EncodeToString(SerialOf(certificate))}"
                    : null;
            }
            catch (Exception e) when (e is CryptographicException or AsnContentException)
            {
                return null;
            }
        }
        return null;
    }

    /// <summary>
    /// A moment within the window, as if at random, and the same for one certificate as long as its window stays: also
    /// after a restart, and with nothing to be kept.
    /// </summary>
    public static DateTimeOffset Choose(string seed, DateTimeOffset start, DateTimeOffset end) =>
        end <= start ? start : start + ((end - start) * Fraction($"{seed} {start.ToUnixTimeSeconds()} {end.ToUnixTimeSeconds()}"));

    /// <summary>When a third of the lifetime is left, less up to a thirtieth of it, so that certificates of one hour part.</summary>
    public static DateTimeOffset AtAThird(string seed, DateTimeOffset notBefore, DateTimeOffset notAfter)
    {
        var lifetime = notAfter - notBefore;
        return notAfter - (lifetime / 3) - (lifetime / 30 * Fraction(seed));
    }

    /// <summary>When to ask again, within the bounds that RFC 9773 section 4.3.2 names.</summary>
    public static TimeSpan NextCheck(TimeSpan? retryAfter)
    {
        var wait = retryAfter ?? UsualCheck;
        return wait < SoonestCheck ? SoonestCheck : wait > LatestCheck ? LatestCheck : wait;
    }

    /// <summary>From 0 up to 1.</summary>
    private static double Fraction(string seed) =>
        (BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(seed))) >> 11) / (double)(1UL << 53);

    /// <summary>The bytes of the serial number as they are encoded, with the leading zero of one whose first bit is set.</summary>
    private static byte[] SerialOf(X509Certificate2 certificate)
    {
        var body = new AsnReader(certificate.RawData, AsnEncodingRules.DER).ReadSequence().ReadSequence();
        var version = new Asn1Tag(TagClass.ContextSpecific, 0, isConstructed: true);
        if (body.PeekTag().HasSameClassAndValue(version)) body.ReadEncodedValue();
        return body.ReadIntegerBytes().ToArray();
    }
}
