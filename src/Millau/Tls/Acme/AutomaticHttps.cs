using Microsoft.Extensions.Logging;
using Millau.Discovery;

namespace Millau.Tls.Acme;

/// <summary>Automatic HTTPS (RFC 8555) as one part, wired by hand: catalog → scheduler → certificates of the proxy. Owns all it makes.</summary>
internal sealed class AutomaticHttps : IAsyncDisposable
{
    private readonly AcmeHttp _http;
    private readonly AcmeScheduler _scheduler;
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;

    private AutomaticHttps(AcmeOptions options, MillauProxy proxy, TimeProvider time, ILogger log)
    {
        _http = new AcmeHttp(options.Roots, time);
        _scheduler = new AcmeScheduler(options, new AcmeClient(_http, options.Directory), proxy.Challenges,
            proxy.Certificates.Covers, proxy.Certificates.SetAcme, time, Random.Shared, log);
        _scheduler.Load();
    }

    /// <inheritdoc cref="AcmeScheduler.Status"/>
    public AcmeStatus Status => _scheduler.Status;

    /// <summary>With the certificates of an earlier process in force; null if it is switched off.</summary>
    public static AutomaticHttps? Create(Settings settings, MillauProxy proxy, TimeProvider time, ILoggerFactory logging) =>
        settings.Acme is not { } directory ? null : new AutomaticHttps(
            new AcmeOptions
            {
                Directory = directory,
                Data = settings.AcmeData,
                Email = settings.AcmeEmail,
                ExternalAccount = settings.AcmeExternalAccount,
                Profile = settings.AcmeProfile,
                Roots = settings.AcmeRoots,
            },
            proxy, time, logging.CreateLogger("Millau.Acme"));

    /// <inheritdoc cref="AcmeScheduler.Apply"/>
    public void Apply(ServiceCatalog catalog) => _scheduler.Apply(catalog);

    /// <summary>Begins to ask the CA: once the listeners are there that it will come to.</summary>
    public void Start() => _running = Task.Run(() => _scheduler.RunAsync(_stop.Token));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _http.Dispose();
        _stop.Dispose();
    }
}
