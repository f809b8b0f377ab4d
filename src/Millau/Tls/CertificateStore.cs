using System.Collections.Immutable;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Millau.Discovery;
using Millau.Routing;

namespace Millau.Tls;

/// <summary>
/// All certificates: those of labels, those of ACME, and a self-signed one. Handshakes read one immutable table; whoever
/// changes something builds another and swaps it with one write. Thread-safe.
/// </summary>
internal sealed class CertificateStore : IDisposable
{
    /// <summary>
    /// How often secrets are read again. Reading is what shows every kind of change: a file written in place, one that
    /// was renamed over it, a link that leads elsewhere, a mount; a notification would miss some of them. The files are few
    /// and small, and only those that a label names are read.
    /// </summary>
    public static readonly TimeSpan WatchPeriod = TimeSpan.FromSeconds(5);

    private static readonly IdnMapping Idn = new();

    private readonly TimeProvider _time;
    private readonly LabelCertificates _labels;
    private readonly Lock _lock = new();
    private readonly ITimer _watch;
    private ImmutableArray<Service> _services = [];
    private ImmutableDictionary<string, TlsCertificate> _acme = ImmutableDictionary<string, TlsCertificate>.Empty;
    private volatile SelfSigned _selfSigned;
    private volatile CertificateTable _table;
    private ImmutableArray<CertificateStatus> _status = [];

    /// <param name="secrets">Where <c>secret:NAME</c> is found.</param>
    /// <param name="time">Decides what is expired, and when secrets are read again.</param>
    public CertificateStore(SecretFiles secrets, TimeProvider time, ILogger log)
    {
        _time = time;
        _labels = new LabelCertificates(secrets, time, log);
        _selfSigned = new SelfSigned(time.GetUtcNow());
        _table = new CertificateTable([], [], _acme);
        Rebuild();
        _watch = time.CreateTimer(static state => ((CertificateStore)state!).Watch(), this, WatchPeriod, WatchPeriod);
    }

    /// <summary>All certificates as they stand, and what is wrong with them; for people and metrics.</summary>
    public ImmutableArray<CertificateStatus> Status
    {
        get
        {
            lock (_lock) return _status;
        }
    }

    /// <summary>
    /// The certificate for a handshake (see <see cref="CertificateTable.Select"/>); null if it gets <see cref="SelfSigned"/>.
    /// Allocates nothing for a name in its usual form.
    /// </summary>
    /// <param name="serverName">What the client asks for; empty if it names nothing.</param>
    public TlsCertificate? Select(string serverName) => _table.Select(ToHost(serverName), _time.GetUtcNow());

    /// <summary>The certificate where there is no better one.</summary>
    public SelfSigned SelfSigned => _selfSigned;

    /// <summary>Whether a label certificate that is valid now covers the host, so that none has to be asked for.</summary>
    /// <param name="host">In the form of <see cref="HostName.Normalize"/>.</param>
    public bool Covers(string host)
    {
        var now = _time.GetUtcNow();
        return _table.Covering(host, now) is { } certificate && certificate.IsValidAt(now);
    }

    /// <summary>Makes the certificates and hosts of a catalog effective, from the next handshake on.</summary>
    public void Apply(ServiceCatalog catalog)
    {
        lock (_lock)
        {
            var changed = _labels.Apply(catalog.Certificates);
            _services = catalog.Services;
            // Hosts decide only where there are certificates to choose from.
            if (changed || !catalog.Certificates.IsEmpty) Rebuild();
        }
    }

    /// <summary>Replaces the ACME certificates, from the next handshake on.</summary>
    /// <param name="byHost">Keys in the form of <see cref="HostName.Normalize"/>.</param>
    public void SetAcme(ImmutableDictionary<string, TlsCertificate> byHost)
    {
        lock (_lock)
        {
            _acme = byHost;
            Rebuild();
        }
    }

    public void Dispose() => _watch.Dispose();

    /// <summary>The name in the form that routes have: .NET gives international names in Unicode.</summary>
    public static string ToHost(string serverName)
    {
        if (!System.Text.Ascii.IsValid(serverName))
        {
            try
            {
                serverName = Idn.GetAscii(serverName);
            }
            catch (ArgumentException)
            {
                return "";
            }
        }
        return HostName.Normalize(serverName);
    }

    private void Watch()
    {
        lock (_lock)
        {
            var now = _time.GetUtcNow();
            var changed = _labels.Refresh();
            if (_selfSigned.NotAfter - now < SelfSigned.RenewBefore)
            {
                _selfSigned = new SelfSigned(now);
                changed = true;
            }
            if (changed) Rebuild();
        }
    }

    private void Rebuild()
    {
        var status = ImmutableArray.CreateBuilder<CertificateStatus>();
        var certificates = new List<TlsCertificate>();
        foreach (var (service, entry) in _labels.All.OrderBy(e => e.Key, StringComparer.Ordinal))
        {
            if (entry.Certificate is { } certificate) certificates.Add(certificate);
            status.Add(CertificateStatus.Of(CertificateSource.Label, service, entry.Certificate, entry.Problem));
        }
        var routed = new List<(string, TlsCertificate)>();
        if (certificates.Count > 0)
        {
            foreach (var service in _services)
            {
                if (_labels.Find(service.Name) is not { } certificate) continue;
                foreach (var host in service.Hosts) routed.Add((host, certificate));
            }
        }
        foreach (var certificate in _acme.Values.Distinct().OrderBy(c => c.Names.FirstOrDefault(), StringComparer.Ordinal))
            status.Add(CertificateStatus.Of(CertificateSource.Acme, "", certificate, ""));
        status.Add(new CertificateStatus(CertificateSource.SelfSigned, "", [SelfSigned.Name], _selfSigned.NotAfter, ""));
        _status = status.DrainToImmutable();
        _table = new CertificateTable(certificates, routed, _acme);
    }
}
