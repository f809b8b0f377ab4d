using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace Millau.Tls.Acme;

/// <summary>
/// What is known between orders: certificates, waits after failures, suggestions for renewal. Kept in the store. Used by the
/// loop of <see cref="AcmeScheduler"/> alone.
/// </summary>
internal sealed class AcmeBook(AcmeStore store, TimeProvider time, Random random, ILogger log)
{
    /// <summary>After the first, second, third and every further failure of a name in a row.</summary>
    private static readonly TimeSpan[] NameWaits =
        [TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(100), TimeSpan.FromDays(1)];

    /// <summary>The CA as a whole: what is wrong there passes sooner, and is nobody's fault here.</summary>
    private static readonly TimeSpan FirstCaWait = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestCaWait = TimeSpan.FromMinutes(10);

    /// <summary>Added to each wait at random, as part of it: so that not all come back at once.</summary>
    private const double Jitter = 0.1;

    /// <summary>A wait is forgotten so long after its end: the name is no longer wanted.</summary>
    private static readonly TimeSpan WaitsKept = TimeSpan.FromDays(2);

    /// <summary>An expired certificate of a name that is no longer wanted is kept so long.</summary>
    private static readonly TimeSpan ExpiredKept = TimeSpan.FromDays(30);

    private readonly Dictionary<string, WaitState> _waits = new(StringComparer.Ordinal);
    private readonly List<HeldCertificate> _held = [];
    private bool _changed;

    /// <summary>All certificates, those of names that nobody wants now too.</summary>
    public IReadOnlyList<HeldCertificate> Held => _held;

    /// <summary>The wait for the CA as a whole; null if there is none.</summary>
    public WaitState? CaWait { get; private set; }

    /// <summary>The challenge that worked last.</summary>
    public ChallengeKind Challenge { get; private set; }

    /// <summary>Reads what an earlier process left.</summary>
    public void Load(DateTimeOffset now)
    {
        var progress = store.ReadProgress();
        foreach (var (name, wait) in progress?.Names ?? [])
        {
            if (wait is not null) _waits[name] = Sound(wait, now);
        }
        CaWait = progress?.Ca is { } ca ? Sound(ca, now) : null;
        Challenge = progress?.Challenge == AcmeOrder.NameOf(ChallengeKind.TlsAlpn01) ? ChallengeKind.TlsAlpn01 : ChallengeKind.Http01;
        foreach (var (file, pem) in store.ReadCertificates())
        {
            if (HeldCertificate.Load(file, pem, null, out var problem) is not { } held)
            {
                Log.AcmeFileBroken(log, file, problem);
                continue;
            }
            if (held.RenewalId is { } id && progress?.Renewals?.GetValueOrDefault(id) is { } suggested) held.Suggested = suggested;
            _held.Add(held);
        }
    }

    /// <summary>Writes what changed.</summary>
    public void Save()
    {
        if (!_changed) return;
        _changed = false;
        store.WriteProgress(new ProgressState(
            new(_waits.OrderBy(w => w.Key, StringComparer.Ordinal)), CaWait,
            _held.Where(h => h is { RenewalId: not null, Suggested: not null }).DistinctBy(h => h.RenewalId)
                .ToDictionary(h => h.RenewalId!, h => h.Suggested!),
            AcmeOrder.NameOf(Challenge)));
    }

    /// <summary>The best certificate for each name that has one: the one that lasts longest.</summary>
    public Dictionary<string, HeldCertificate> BestByName()
    {
        var best = new Dictionary<string, HeldCertificate>(StringComparer.Ordinal);
        foreach (var held in _held)
        {
            foreach (var name in held.Names)
            {
                if (!best.TryGetValue(name, out var other) || other.NotAfter < held.NotAfter) best[name] = held;
            }
        }
        return best;
    }

    public WaitState? WaitOf(string name) => _waits.GetValueOrDefault(name);

    public int FailuresOf(string name) => WaitOf(name)?.Failures ?? 0;

    /// <summary>Takes a new certificate, and drops those that it makes superfluous.</summary>
    /// <returns>Null if it is none that can be used; then <paramref name="problem"/> says why.</returns>
    public HeldCertificate? Add(ImmutableArray<string> names, string pem, ChallengeKind challenge, DateTimeOffset now, out string problem)
    {
        var held = HeldCertificate.Load(AcmeStore.FileOf(names), pem, time.GetTimestamp(), out problem);
        if (held is null) return null;
        if (names.FirstOrDefault(n => !held.Names.Contains(n)) is { } lacking)
        {
            problem = $"the certificate lacks {lacking}";
            return null;
        }
        _held.RemoveAll(h => h.File == held.File);
        _held.Add(held);
        store.WriteCertificate(held.File, pem);
        foreach (var name in names) _waits.Remove(name);
        CaWait = null;
        Challenge = challenge;
        Tidy(now);
        _changed = true;
        return held;
    }

    /// <summary>A name failed: the next try is later, and later still after each failure.</summary>
    public WaitState Fail(string name, string error, TimeSpan? retryAfter, DateTimeOffset now)
    {
        var failures = FailuresOf(name) + 1;
        var wait = WithJitter(NameWaits[Math.Min(failures, NameWaits.Length) - 1]);
        if (retryAfter > wait) wait = WithJitter(retryAfter.Value);
        _changed = true;
        return _waits[name] = new WaitState(failures, now, wait.TotalSeconds, error);
    }

    /// <summary>The CA failed as a whole.</summary>
    public WaitState FailCa(AcmeFault fault, DateTimeOffset now)
    {
        var failures = (CaWait?.Failures ?? 0) + 1;
        var wait = WithJitter(TimeSpan.FromTicks(
            Math.Min(LongestCaWait.Ticks, FirstCaWait.Ticks << Math.Min(failures - 1, 10))));
        // What the CA refuses (an account, a binding) does not pass by itself.
        if (!fault.IsOfCa) wait = WithJitter(NameWaits[Math.Min(failures, NameWaits.Length) - 1]);
        if (fault.RetryAfter > wait) wait = WithJitter(fault.RetryAfter.Value);
        _changed = true;
        return CaWait = new WaitState(failures, now, wait.TotalSeconds, fault.Text);
    }

    /// <summary>The CA answers as it should.</summary>
    public void CaWorks()
    {
        _changed |= CaWait is not null;
        CaWait = null;
    }

    public void Suggest(HeldCertificate held, RenewalState suggested)
    {
        held.Suggested = suggested;
        _changed = true;
    }

    /// <summary>Drops certificates that others outdo, and what is long over.</summary>
    public void Tidy(DateTimeOffset now)
    {
        var best = BestByName();
        foreach (var held in _held.Where(h => h.NotAfter + ExpiredKept < now || h.Names.All(n => best[n] != h)).ToList())
        {
            _held.Remove(held);
            store.DeleteCertificate(held.File);
        }
        foreach (var (name, wait) in _waits)
        {
            if (wait.Until + WaitsKept < now) _waits.Remove(name);
        }
    }

    /// <summary>A wait that began in the future began under another clock.</summary>
    private static WaitState Sound(WaitState wait, DateTimeOffset now) => wait.Since > now ? wait with { Since = now } : wait;

    private TimeSpan WithJitter(TimeSpan wait) => wait * (1 + (random.NextDouble() * Jitter));
}
