using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Millau.Discovery;
using Millau.Upstreams;

namespace Millau.Tls;

/// <summary>
/// What the labels of services ask of TLS besides the certificates of hosts, made ready for use: TLS with instances, and
/// the CAs of clients. Each is one object for as long as its service has the label; what it holds follows labels and
/// secrets. Thread-safe.
/// </summary>
internal sealed class TlsMaterials : IDisposable
{
    private readonly SecretFiles _secrets;
    private readonly ILogger _log;
    private readonly Lock _lock = new();
    private readonly ITimer _watch;
    private Dictionary<string, Entry<InstanceTls, InstanceTlsLabels>> _instances = [];
    private Dictionary<string, Entry<ClientAuthority, string>> _clients = [];

    /// <param name="secrets">Where <c>secret:NAME</c> is found.</param>
    /// <param name="time">Decides when secrets are read again.</param>
    public TlsMaterials(SecretFiles secrets, TimeProvider time, ILogger log)
    {
        _secrets = secrets;
        _log = log;
        var period = CertificateStore.WatchPeriod;
        _watch = time.CreateTimer(static state => ((TlsMaterials)state!).Refresh(), this, period, period);
    }

    /// <summary>Makes the labels of a catalog effective; before its routes are.</summary>
    public void Apply(ServiceCatalog catalog)
    {
        lock (_lock)
        {
            var instances = new Dictionary<string, Entry<InstanceTls, InstanceTlsLabels>>();
            var clients = new Dictionary<string, Entry<ClientAuthority, string>>();
            foreach (var service in catalog.Services)
            {
                if (service.Tls.Instances is { } labels)
                    instances.Add(service.Name, Take(_instances.GetValueOrDefault(service.Name), service.Name, labels));
                if (service.Tls.ClientAuthority is { } authority)
                    clients.Add(service.Name, Take(_clients.GetValueOrDefault(service.Name), service.Name, authority));
            }
            (_instances, _clients) = (instances, clients);
        }
    }

    /// <summary>How to speak TLS with the instances of a service; null if they are spoken to in plain.</summary>
    public InstanceTls? ForInstances(string service)
    {
        lock (_lock) return _instances.GetValueOrDefault(service)?.Product;
    }

    /// <summary>The CA that clients of a service need a certificate of; null if they need none.</summary>
    public ClientAuthority? ForClients(string service)
    {
        lock (_lock) return _clients.GetValueOrDefault(service)?.Product;
    }

    /// <summary>What is wrong now with labels or secrets, for people.</summary>
    public ImmutableArray<MaterialProblem> Problems
    {
        get
        {
            lock (_lock)
                return
                [
                    .. _instances.Values.Where(e => e.Problem is not null)
                        .Select(e => new MaterialProblem(e.Service, e.Problem!, e.HasGood, "no connection to its instances is made")),
                    .. _clients.Values.Where(e => e.Problem is not null)
                        .Select(e => new MaterialProblem(e.Service, e.Problem!, e.HasGood, "no client is let in")),
                ];
        }
    }

    public void Dispose() => _watch.Dispose();

    private void Refresh()
    {
        lock (_lock)
        {
            foreach (var entry in _instances.Values) Judge(entry);
            foreach (var entry in _clients.Values) Judge(entry);
        }
    }

    private Entry<InstanceTls, InstanceTlsLabels> Take(
        Entry<InstanceTls, InstanceTlsLabels>? entry, string service, InstanceTlsLabels labels)
    {
        entry ??= new(service, new InstanceTls());
        if (labels == entry.Labels) return entry;
        if (labels.Key is { } key && !SecretFiles.IsSecret(key) && key != entry.Labels?.Key)
            Log.KeyInLabel(_log, service, "millau.clientkey");
        entry.Labels = labels;
        var parts = new List<(string, string)>();
        if (labels.Authority is { } authority) parts.Add(("millau.ca", authority));
        if (labels is { Certificate: { } certificate, Key: { } ofCertificate })
        {
            parts.Add(("millau.clientcert", certificate));
            parts.Add(("millau.clientkey", ofCertificate));
        }
        entry.Material = new(parts, texts => Load(entry, labels, texts));
        Judge(entry);
        return entry;
    }

    private Entry<ClientAuthority, string> Take(Entry<ClientAuthority, string>? entry, string service, string label)
    {
        entry ??= new(service, new ClientAuthority(service));
        if (label == entry.Labels) return entry;
        entry.Labels = label;
        entry.Material = new([("millau.clientca", label)], texts =>
        {
            if (LoadAuthority(texts[0], out var problem) is not { } authority) return "millau.clientca: " + problem;
            entry.Product.Current = authority;
            Log.ClientAuthorityLoaded(_log, service, authority.ToString());
            return null;
        });
        Judge(entry);
        return entry;
    }

    private string? Load(Entry<InstanceTls, InstanceTlsLabels> entry, InstanceTlsLabels labels, string[] texts)
    {
        CertificateAuthority? authority = null;
        var problem = "";
        if (labels.Authority is not null && (authority = LoadAuthority(texts[0], out problem)) is null)
            return "millau.ca: " + problem;
        TlsCertificate? own = null;
        if (labels.Certificate is not null && !PemPair.TryLoad(texts[^2], texts[^1], out own, out problem))
            return "millau.clientcert, millau.clientkey: " + problem;
        entry.Product.Set(new UpstreamTls(labels.ServerName, authority, own?.Context));
        Log.InstanceTlsLoaded(_log, entry.Service, labels.ServerName, authority?.ToString() ?? "the system's", own?.ToString() ?? "none");
        return null;
    }

    private static CertificateAuthority? LoadAuthority(string pem, out string problem)
    {
        var certificates = new X509Certificate2Collection();
        problem = "";
        try
        {
            certificates.ImportFromPem(pem);
        }
        catch (CryptographicException)
        {
            problem = "cannot be read: a CERTIFICATE block of the PEM is broken";
            return null;
        }
        if (certificates.Count == 0) problem = "is not PEM: it has no CERTIFICATE block";
        else if (!certificates.Any(CertificateAuthority.IsRoot)) problem = "has no root: a certificate that is issued by itself";
        return problem.Length == 0 ? new CertificateAuthority(certificates) : null;
    }

    private void Judge(Entry<InstanceTls, InstanceTlsLabels> entry)
    {
        if (entry.Look(_secrets) is not { } problem) return;
        entry.Product.Fail(problem);
        Log.WrongInstanceTls(_log, entry.Service, problem, entry.HasGood ? "last good one stays" : "no connection is made");
    }

    private void Judge(Entry<ClientAuthority, string> entry)
    {
        if (entry.Look(_secrets) is { } problem)
            Log.WrongClientAuthority(_log, entry.Service, problem, entry.HasGood ? "last good one stays" : "no client is let in");
    }

    /// <summary>What is known for one service.</summary>
    private sealed class Entry<TProduct, TLabels>(string service, TProduct product)
    {
        public string Service => service;

        /// <summary>What others hold; its content changes.</summary>
        public TProduct Product => product;

        public TLabels? Labels { get; set; }

        public bool HasGood { get; private set; }

        public LabelMaterial? Material { get; set; }

        /// <summary>Null if there is none.</summary>
        public string? Problem { get; private set; }

        /// <summary>What is wrong, when that is to be said: once for each change.</summary>
        public string? Look(SecretFiles secrets)
        {
            var problem = Material!.Refresh(secrets);
            HasGood |= Material.IsLoaded;
            var isNew = problem != Problem;
            Problem = problem;
            return isNew ? problem : null;
        }
    }
}

/// <summary>Something wrong with what the labels of a service ask of TLS.</summary>
/// <param name="Problem">The label, and what is wrong, in words.</param>
/// <param name="HasGood">The last good one is in force.</param>
/// <param name="Otherwise">What holds while there never was a good one.</param>
internal sealed record MaterialProblem(string Service, string Problem, bool HasGood, string Otherwise);
