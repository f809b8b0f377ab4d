using System.Collections.Immutable;
using System.Formats.Asn1;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Millau.Tls;

/// <summary>Which hosts a certificate is for.</summary>
internal static class CertificateNames
{
    private const string SubjectAlternativeName = "2.5.29.17";

    /// <summary>
    /// The DNS names and addresses among its alternative names, else the common name (RFC 6125 section 6.4.4), in lower
    /// case and without a trailing dot.
    /// </summary>
    public static ImmutableArray<string> Read(X509Certificate2 certificate)
    {
        var names = ImmutableArray.CreateBuilder<string>();
        var hasAlternatives = false;
        foreach (var extension in certificate.Extensions)
        {
            if (extension.Oid?.Value != SubjectAlternativeName) continue;
            try
            {
                var alternatives = new X509SubjectAlternativeNameExtension(extension.RawData, extension.Critical);
                foreach (var name in alternatives.EnumerateDnsNames())
                {
                    hasAlternatives = true;
                    Add(names, name);
                }
                foreach (var address in alternatives.EnumerateIPAddresses())
                {
                    hasAlternatives = true;
                    Add(names, address.ToString());
                }
            }
            catch (Exception e) when (e is System.Security.Cryptography.CryptographicException or AsnContentException)
            {
                // Broken: it covers what could be read so far.
            }
        }
        if (!hasAlternatives) Add(names, certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false));
        return names.DrainToImmutable();
    }

    /// <summary>Whether one of the names covers a host; a wildcard stands for exactly one label, the leftmost.</summary>
    public static bool Cover(ImmutableArray<string> names, string host)
    {
        foreach (var name in names)
        {
            if (name == host) return true;
            if (name.StartsWith("*.", StringComparison.Ordinal) && host.IndexOf('.') is > 0 and var dot
                && host.AsSpan(dot).SequenceEqual(name.AsSpan(1)))
            {
                return true;
            }
        }
        return false;
    }

    private static void Add(ImmutableArray<string>.Builder names, string name)
    {
        var lower = name.Trim().TrimEnd('.').ToLowerInvariant();
        if (lower.Length > 0 && Ascii.IsValid(lower) && !names.Contains(lower)) names.Add(lower);
    }
}
