using System.Collections.Immutable;
using System.Security.Cryptography;

namespace Millau.Tls.Acme;

/// <summary>A certificate that was had from a CA. Used by the loop of <see cref="AcmeScheduler"/> alone, but for the certificate itself.</summary>
internal sealed class HeldCertificate
{
    /// <summary>A certificate that was only just had is not had again sooner, whatever its dates and the clock say.</summary>
    private static readonly TimeSpan LongestRest = TimeSpan.FromHours(1);

    private readonly long? _obtained;

    private HeldCertificate(string file, TlsCertificate certificate, long? obtained)
    {
        File = file;
        Certificate = certificate;
        RenewalId = RenewalInfo.IdOf(certificate.Leaf);
        _obtained = obtained;
    }

    /// <summary>Its name in the store.</summary>
    public string File { get; }

    public TlsCertificate Certificate { get; }

    public ImmutableArray<string> Names => Certificate.Names;

    public DateTimeOffset NotAfter => Certificate.NotAfter;

    /// <summary>What the CA knows it by (RFC 9773); null if it has no such name.</summary>
    public string? RenewalId { get; }

    /// <summary>What the CA says of its renewal; null if it has not said anything.</summary>
    public RenewalState? Suggested { get; set; }

    /// <summary>
    /// When it is to be renewed: within the CA's window, but not so late that one bad day leaves nothing; else at a third of
    /// its lifetime left.
    /// </summary>
    public DateTimeOffset RenewAt
    {
        get
        {
            var seed = Certificate.Leaf.SerialNumber;
            if (Suggested is not { } window || window.Start == default)
                return RenewalInfo.AtAThird(seed, Certificate.NotBefore, NotAfter);
            var chosen = RenewalInfo.Choose(seed, window.Start, window.End);
            var latest = NotAfter - ((NotAfter - Certificate.NotBefore) / 10);
            return chosen < latest ? chosen : latest;
        }
    }

    /// <summary>Reads a PEM of a key and a chain.</summary>
    /// <param name="obtained">The moment it was had, by <see cref="TimeProvider.GetTimestamp"/>; null for one of an earlier process.</param>
    /// <param name="problem">Why there is none; else empty. Holds nothing of the key.</param>
    public static HeldCertificate? Load(string file, string pem, long? obtained, out string problem)
    {
        try
        {
            if (!PemPair.TryLoad(pem, pem, out var certificate, out problem)) return null;
            if (certificate!.Names.IsEmpty) problem = "the certificate names nobody";
            return problem.Length == 0 ? new HeldCertificate(file, certificate, obtained) : null;
        }
        catch (CryptographicException e)
        {
            problem = e.Message;
            return null;
        }
    }

    public bool IsDueAt(DateTimeOffset now, TimeProvider time)
    {
        if (now < RenewAt) return false;
        if (_obtained is not { } obtained) return true;
        var rest = (NotAfter - Certificate.NotBefore) / 4;
        return time.GetElapsedTime(obtained) >= (rest < LongestRest ? rest : LongestRest);
    }
}
