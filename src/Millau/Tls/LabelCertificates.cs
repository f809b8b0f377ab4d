using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Millau.Discovery;

namespace Millau.Tls;

/// <summary>
/// The certificates that services carry in their labels, by service. A pair that is wrong does not replace a good one,
/// and is said once for each change. Not thread-safe: <see cref="CertificateStore"/> holds its lock.
/// </summary>
internal sealed class LabelCertificates(SecretFiles secrets, TimeProvider time, ILogger log)
{
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    /// <summary>By service, each with the certificate in force, or with a problem, or both.</summary>
    public IEnumerable<KeyValuePair<string, Entry>> All => _entries;

    /// <summary>The certificate in force, or null.</summary>
    public TlsCertificate? Find(string service) => _entries.GetValueOrDefault(service)?.Certificate;

    /// <summary>Takes over what the labels say. True if any certificate or problem is another than before.</summary>
    public bool Apply(ImmutableArray<ServiceCertificate> labels)
    {
        var changed = false;
        var named = new HashSet<string>(StringComparer.Ordinal);
        foreach (var label in labels)
        {
            named.Add(label.Service);
            if (!_entries.TryGetValue(label.Service, out var entry)) _entries.Add(label.Service, entry = new Entry());
            if (label.Equals(entry.Label)) continue;
            entry.Label = label;
            changed |= Refresh(entry);
        }
        foreach (var service in _entries.Keys)
        {
            if (!named.Contains(service)) changed |= _entries.Remove(service);
        }
        return changed;
    }

    /// <summary>Looks whether secrets have changed, or certificates have come of age. True if something is another than before.</summary>
    public bool Refresh()
    {
        var changed = false;
        foreach (var entry in _entries.Values) changed |= Refresh(entry);
        return changed;
    }

    private bool Refresh(Entry entry)
    {
        var label = entry.Label!;
        var before = (entry.Certificate, entry.Problem);
        if (label.Claim != entry.Claim) TakeClaim(entry, label.Claim);
        if (!SecretFiles.IsSecret(label.Key) && !entry.SaidKeyInLabel)
        {
            entry.SaidKeyInLabel = true;
            Log.KeyInLabel(log, label.Service, "millau.key");
        }
        if (!secrets.TryResolve(label.Certificate, out var certificate, out var problem))
            problem = "millau.cert: " + problem;
        else if (!secrets.TryResolve(label.Key, out var key, out problem))
            problem = "millau.key: " + problem;
        else if (certificate != entry.CertificateText || key != entry.KeyText)
            Load(entry, certificate, key);
        Judge(entry, problem);
        return before != (entry.Certificate, entry.Problem);
    }

    /// <summary>Another stack has the service, or another rule its stack: the pair is to be loaded anew, and what is in force need not stay.</summary>
    private static void TakeClaim(Entry entry, HostClaim? claim)
    {
        entry.Claim = claim;
        entry.CertificateText = entry.KeyText = null;
        if (entry.Certificate is { } inForce && RefusedName(inForce, claim) is not null) entry.Certificate = null;
    }

    private static string? RefusedName(TlsCertificate certificate, HostClaim? claim) =>
        claim is { } limits ? certificate.Names.FirstOrDefault(n => !limits.Permits(n)) : null;

    private void Load(Entry entry, string certificate, string key)
    {
        (entry.CertificateText, entry.KeyText) = (certificate, key);
        entry.PairProblem = "";
        if (!PemPair.TryLoad(certificate, key, out var loaded, out var problem))
        {
            entry.PairProblem = problem;
            return;
        }
        if (RefusedName(loaded!, entry.Claim) is { } refused)
        {
            entry.PairProblem = $"millau.cert: ALLOWED_HOSTS does not grant its name {refused} to the stack";
            return;
        }
        var now = time.GetUtcNow();
        if (!loaded!.IsValidAt(now) && entry.Certificate is { } last && last.IsValidAt(now))
        {
            entry.PairProblem = ValidityProblem(loaded, now);
            return;
        }
        entry.Certificate = loaded;
        Log.CertificateLoaded(log, entry.Label!.Service, string.Join(' ', loaded.Names), loaded.NotAfter);
    }

    private void Judge(Entry entry, string sourceProblem)
    {
        var now = time.GetUtcNow();
        entry.Problem = sourceProblem.Length > 0 ? sourceProblem
            : entry.PairProblem.Length > 0 ? entry.PairProblem
            : entry.Certificate is { } certificate ? ValidityProblem(certificate, now) : "";
        if (entry.Problem == entry.SaidProblem) return;
        entry.SaidProblem = entry.Problem;
        if (entry.Problem.Length > 0)
            Log.WrongCertificate(log, entry.Label!.Service, entry.Problem, Result(entry, now));
    }

    private static string Result(Entry entry, DateTimeOffset now) => entry.Certificate switch
    {
        null => "not used",
        { } certificate when certificate.IsValidAt(now) => "last good one stays",
        _ => "used only where no valid one covers the name",
    };

    private static string ValidityProblem(TlsCertificate certificate, DateTimeOffset now) =>
        now > certificate.NotAfter ? $"expired on {certificate.NotAfter:yyyy-MM-dd HH:mm:ss}Z"
        : now < certificate.NotBefore ? $"not valid before {certificate.NotBefore:yyyy-MM-dd HH:mm:ss}Z; is the clock right?"
        : "";

    /// <summary>What is known of one service's certificate.</summary>
    internal sealed class Entry
    {
        /// <summary>In force: the last one that was good.</summary>
        public TlsCertificate? Certificate { get; set; }

        /// <summary>For people; empty if all is well.</summary>
        public string Problem { get; set; } = "";

        internal ServiceCertificate? Label { get; set; }

        /// <summary>What the certificate in force was checked against.</summary>
        internal HostClaim? Claim { get; set; }

        /// <summary>Of the pair that was loaded last; null if that is to be done anew.</summary>
        internal string? CertificateText { get; set; }

        /// <inheritdoc cref="CertificateText"/>
        internal string? KeyText { get; set; }

        internal string PairProblem { get; set; } = "";
        internal string SaidProblem { get; set; } = "";
        internal bool SaidKeyInLabel { get; set; }
    }
}
