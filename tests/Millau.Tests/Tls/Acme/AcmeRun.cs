using System.Collections.Immutable;
using Microsoft.Extensions.Time.Testing;
using Millau.Discovery;
using Millau.Tests.Wire;
using Millau.Tls;
using Millau.Tls.Acme;

namespace Millau.Tests.Tls.Acme;

/// <summary>Automatic HTTPS before a scripted authority, under a clock that the test moves. State may outlive a run.</summary>
internal sealed class AcmeRun : IAsyncDisposable
{
    // Dozens of orders, each with keys and several requests, on a machine that may be busy with all other tests.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly CancellationTokenSource _stop = new();
    private readonly AcmeHttp _http;
    private readonly Task _running;
    private ServiceCatalog _wanted = ServiceCatalog.Empty;

    public AcmeRun(ScriptedCa ca, FakeTimeProvider time, string data, string? profile = null, Func<string, bool>? isCovered = null)
    {
        Time = time;
        _http = new AcmeHttp(null, time);
        var options = new AcmeOptions { Directory = ca.Url, Data = data, Profile = profile };
        Scheduler = new AcmeScheduler(options, new AcmeClient(_http, ca.Url), new Challenges(new AlpnChallenges()),
            isCovered ?? (_ => false), certificates => Published = certificates, time, new Random(1), Log);
        Scheduler.Load();
        _running = Task.Run(() => Scheduler.RunAsync(_stop.Token));
    }

    public FakeTimeProvider Time { get; }

    public AcmeScheduler Scheduler { get; }

    public RecordedLog Log { get; } = new();

    public AcmeStatus Status => Scheduler.Status;

    public ImmutableDictionary<string, TlsCertificate> Published { get; private set; } = ImmutableDictionary<string, TlsCertificate>.Empty;

    public AcmeNameStatus this[string name] => Status.Names.Single(n => n.Name == name);

    public void Want(params (string Service, string[] Hosts)[] services)
    {
        _wanted = new ServiceCatalog([.. services.Select(s => TestProxy.Service(s.Service) with { Hosts = [.. s.Hosts] })]);
        Scheduler.Apply(_wanted);
    }

    /// <summary>Waits until a name stands so.</summary>
    public Task UntilAsync(string name, AcmeNameState state) => UntilAsync(
        () => Status.Orders == 0 && Status.Names.Any(n => n.Name == name && n.State == state),
        $"{name} {state}");

    public async Task UntilAsync(Func<bool> condition, string what)
    {
        try
        {
            await Eventually.TrueAsync(condition, $"not so: {what}", Patience);
        }
        catch (Xunit.Sdk.FailException e)
        {
            // What it said is what tells why.
            throw new InvalidOperationException($"{e.Message}; {Status.Orders} orders; {string.Join("; ", Status.Names)}; log: {string.Join("\n", Log.Entries)}", e);
        }
    }

    /// <summary>
    /// Lets time pass in one step, wakes the loop (a sleep that began just then would be too long), and waits until
    /// something is so.
    /// </summary>
    public Task PassAsync(TimeSpan time, Func<bool> condition, string what)
    {
        Time.Advance(time);
        Scheduler.Apply(_wanted);
        return UntilAsync(condition, what);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _http.Dispose();
        _stop.Dispose();
    }
}
