using System.Collections.Immutable;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Millau.Discovery;

namespace Millau.Tls.Acme;

/// <summary>
/// Automatic HTTPS: one loop that knows what is wanted and what there is, has the difference made, and renews. Whatever waits
/// for the CA runs beside it and reports to its mailbox; serving waits for nothing here.
/// <list type="number">
/// <item>Take the news: names wanted, certificates had, failures. Then look at the clock, once a round.</item>
/// <item>Plan: what is missing or due, and not waiting after a failure.</item>
/// <item>Open the account if there is something to do: that also shows by how much our clock is wrong.</item>
/// <item>Start orders, a few at once; ask for suggested renewals.</item>
/// <item>Publish, save, and sleep until something is due.</item>
/// </list>
/// </summary>
internal sealed class AcmeScheduler
{
    private const int MaxOrders = 4;

    /// <summary>An open account is good for so long; then its directory is read again.</summary>
    private static readonly TimeSpan SessionLife = TimeSpan.FromMinutes(10);

    /// <summary>The clock is looked at again at least so often: it may have been set.</summary>
    private static readonly TimeSpan LongestSleep = TimeSpan.FromHours(1);

    private static readonly TimeSpan ShortestSleep = TimeSpan.FromSeconds(1);

    /// <summary>Files that could not be written are tried again so often.</summary>
    private static readonly TimeSpan StoreRetry = TimeSpan.FromMinutes(1);

    /// <summary>From here on our clock is called wrong, and the CA's is used.</summary>
    private static readonly TimeSpan ClockTolerance = TimeSpan.FromMinutes(10);

    private readonly AcmeOptions _options;
    private readonly AcmeClient _client;
    private readonly AcmeStore _store;
    private readonly AcmeAccount _account;
    private readonly AcmeBook _book;
    private readonly Challenges _challenges;
    private readonly Func<string, bool> _isCovered;
    private readonly Action<ImmutableDictionary<string, TlsCertificate>> _publish;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Channel<AcmeNews> _news = Channel.CreateUnbounded<AcmeNews>(new() { SingleReader = true });
    private readonly Dictionary<PlannedOrder, HashSet<string>> _running = new(ReferenceEqualityComparer.Instance);
    private readonly List<Task> _tasks = [];
    private readonly Queue<AcmeNews> _arrived = new();
    private ImmutableArray<ServiceNames> _wanted = [];
    private AcmeSession? _session;
    private long _sessionSince;
    private bool _isOpening;
    private bool _isAsking;
    private bool _clockWasWrong;
    private bool _profileWasMissing;
    private bool _accountWasLost;
    private long _storeTried;
    private volatile AcmeStatus _status;

    /// <summary>
    /// The time of this round. One for all that it does: a wait that was on when orders were planned and over when the sleep
    /// is measured would be slept through.
    /// </summary>
    private DateTimeOffset _now;

    /// <param name="client">The CA. Used, not disposed.</param>
    /// <param name="challenges">Where challenges are answered from.</param>
    /// <param name="isCovered">Whether a label certificate that is valid covers a host.</param>
    /// <param name="publish">Gets all certificates by host, whenever they change.</param>
    /// <param name="time">The clock of waits and renewals.</param>
    /// <param name="random">For the jitter of waits.</param>
    public AcmeScheduler(
        AcmeOptions options, AcmeClient client, Challenges challenges, Func<string, bool> isCovered,
        Action<ImmutableDictionary<string, TlsCertificate>> publish, TimeProvider time, Random random, ILogger log)
    {
        _options = options;
        _client = client;
        _store = new AcmeStore(options, log);
        _account = new AcmeAccount(options, client, _store, log);
        _book = new AcmeBook(_store, time, random, log);
        _challenges = challenges;
        _isCovered = isCovered;
        _publish = publish;
        _time = time;
        _log = log;
        _status = new AcmeStatus(options.Directory.AbsoluteUri, [], []);
    }

    /// <summary>How everything stands. May be read by anybody at any time.</summary>
    public AcmeStatus Status => _status;

    /// <summary>Makes a catalog's hosts what is wanted. Returns at once.</summary>
    public void Apply(ServiceCatalog catalog) => _news.Writer.TryWrite(new AcmeNews.Wanted(AcmeNames.Of(catalog)));

    /// <summary>Reads what an earlier process left, so that it is served from the first handshake on. Once, before <see cref="RunAsync"/>.</summary>
    public void Load()
    {
        _book.Load(_time.GetUtcNow());
        if (_book.Held.Count > 0) Log.AcmeCertificatesLoaded(_log, _book.Held.Count, _store.Root);
        PublishCertificates();
    }

    /// <summary>Runs until it is cancelled, and waits then for what it began.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            while (!cancellation.IsCancellationRequested)
            {
                try
                {
                    // 1.
                    TakeNews();
                    // 2. to 4.
                    Work(cancellation);
                    // 5.
                    KeepState();
                    PublishStatus();
                    await SleepAsync(cancellation);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    Log.AcmeFailed(_log, e);
                    await Task.Delay(StoreRetry, _time, cancellation);
                }
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The process ends.
        }
        await Task.WhenAll(_tasks);
        _account.Dispose();
    }

    private void TakeNews()
    {
        while (_news.Reader.TryRead(out var arrived)) _arrived.Enqueue(arrived);
        // Afterwards, so that what an answer showed of the clocks counts from that answer on.
        _now = LookAtClock();
        while (_arrived.TryDequeue(out var news)) Take(news);
    }

    /// <summary>Our clock, or the CA's where ours is wrong.</summary>
    private DateTimeOffset LookAtClock()
    {
        var clock = _client.Clock;
        return _time.GetUtcNow() + (clock.Duration() > ClockTolerance ? clock : TimeSpan.Zero);
    }

    private void Take(AcmeNews news)
    {
        switch (news)
        {
            case AcmeNews.Wanted wanted:
                _wanted = wanted.Services;
                break;
            case AcmeNews.Opened opened:
                _isOpening = false;
                _session = opened.Session;
                _sessionSince = _time.GetTimestamp();
                CompareClocks();
                break;
            case AcmeNews.CaFailed failed:
                TakeCaFailure(failed.Fault);
                break;
            case AcmeNews.Issued issued:
                TakeCertificate(issued);
                break;
            case AcmeNews.NameFailed failed:
                _book.CaWorks();
                TakeFailure(failed.Name, failed.Error, failed.RetryAfter, failed.Challenge);
                break;
            case AcmeNews.OrderEnded ended:
                _running.Remove(ended.Order);
                break;
            case AcmeNews.Suggested suggested:
                TakeSuggestion(suggested);
                break;
            case AcmeNews.SuggestionsEnded:
                _isAsking = false;
                break;
        }
    }

    private void TakeCertificate(AcmeNews.Issued issued)
    {
        if (_book.Add(issued.Names, issued.Pem, issued.Challenge, _now, out var problem) is not { } held)
        {
            foreach (var name in issued.Names) TakeFailure(name, problem, null, issued.Challenge);
            return;
        }
        _accountWasLost = false;
        Log.AcmeCertificateReady(_log, string.Join(',', issued.Names), issued.Order.Service, held.NotAfter, held.RenewAt,
            AcmeOrder.NameOf(issued.Challenge));
        PublishCertificates();
    }

    private void TakeFailure(string name, string error, TimeSpan? retryAfter, ChallengeKind challenge)
    {
        var wait = _book.Fail(name, error, retryAfter, _now);
        Log.AcmeNameFailed(_log, name, AcmeOrder.NameOf(challenge), error, wait.Failures, wait.Seconds);
    }

    private void TakeCaFailure(AcmeFault fault)
    {
        _isOpening = false;
        _session = null;
        if (fault.Type == "accountDoesNotExist")
        {
            _account.Lost();
            // Once: an authority that forgets what it has just registered is left alone for a while.
            if (!_accountWasLost)
            {
                _accountWasLost = true;
                Log.AcmeAccountLost(_log, fault.Text);
                return;
            }
        }
        // Orders that run side by side fail for one reason: it counts once.
        if (_book.CaWait is { } current && current.Until > _now && fault.RetryAfter is null) return;
        var wait = _book.FailCa(fault, _now);
        Log.AcmeAuthorityFailed(_log, _options.Directory.Host, fault.Text, wait.Failures, wait.Seconds);
    }

    private void TakeSuggestion(AcmeNews.Suggested suggested)
    {
        var (held, window, check, explanation) = suggested;
        var before = held.Suggested;
        // What the CA said last holds until it says something else.
        _book.Suggest(held, window is not null ? window with { NextCheck = _now + check }
            : (before ?? new RenewalState(default, default, default)) with { NextCheck = _now + check });
        if (window is not null && (before?.Start != window.Start || before.End != window.End))
            Log.AcmeRenewalSuggested(_log, string.Join(',', held.Names), held.RenewAt, explanation ?? "none");
    }

    private void CompareClocks()
    {
        var isWrong = _client.Clock.Duration() > ClockTolerance;
        if (isWrong && !_clockWasWrong) Log.AcmeClockWrong(_log, _client.Clock, _options.Directory.Host);
        _clockWasWrong = isWrong;
    }

    private void Work(CancellationToken cancellation)
    {
        _tasks.RemoveAll(t => t.IsCompleted);
        if (_book.CaWait is { } wait && wait.Until > _now) return;
        var orders = Plan();
        var asks = _isAsking ? [] : ToAskFor();
        if ((orders.IsEmpty || _running.Count >= MaxOrders) && asks.Count == 0) return;
        if (_session is not null && _time.GetElapsedTime(_sessionSince) > SessionLife) _session = null;
        if (_session is not { } session)
        {
            if (_isOpening) return;
            _isOpening = true;
            Begin(() => OpenAsync(cancellation));
            return;
        }
        foreach (var order in orders.Take(MaxOrders - _running.Count))
            Start(order, session, cancellation);
        if (asks.Count == 0) return;
        _isAsking = true;
        Begin(() => AskAsync(asks, session, cancellation));
    }

    private ImmutableArray<PlannedOrder> Plan()
    {
        var busy = _running.Values.SelectMany(n => n).ToHashSet(StringComparer.Ordinal);
        var plan = RenewalPlan.Make(_wanted, _book.BestByName(),
            name => !busy.Contains(name) && !(_book.WaitOf(name)?.Until > _now) && !_isCovered(name),
            held => held.IsDueAt(_now, _time), _now, AcmeNames.MostNames(_options.Profile));
        // Those who never failed first, then what serves nothing yet.
        return [.. plan.OrderBy(o => o.Names.Max(_book.FailuresOf)).ThenBy(o => o.Replaces?.NotAfter ?? default)];
    }

    private void Start(PlannedOrder order, AcmeSession session, CancellationToken cancellation)
    {
        _running.Add(order, [.. order.Names]);
        var failures = order.Names.ToDictionary(n => n, _book.FailuresOf, StringComparer.Ordinal);
        var challenge = failures.Values.Max() % 2 == 0 ? _book.Challenge : AcmeIssuer.Other(_book.Challenge);
        Log.AcmeOrdering(_log, string.Join(',', order.Names), order.Service, order.Replaces is null ? "new" : "renewal");
        var issuer = new AcmeIssuer(
            (request, token) => new AcmeOrder(session, _challenges, _time).RunAsync(request, token),
            name => failures.GetValueOrDefault(name), Tell);
        Begin(async () =>
        {
            try
            {
                await issuer.IssueAsync(order, challenge, ProfileOf(session), session.Directory.RenewalInfo is not null, cancellation);
            }
            finally
            {
                Tell(new AcmeNews.OrderEnded(order));
            }
        });
    }

    /// <summary>A profile that the CA does not offer must not be asked for; a certificate by its default is better than none.</summary>
    private string? ProfileOf(AcmeSession session)
    {
        if (_options.Profile is not { } profile) return null;
        var isOffered = session.Directory.Profiles.Contains(profile);
        if (!isOffered && !_profileWasMissing)
            Log.AcmeProfileNotOffered(_log, profile, session.Directory.Profiles.IsEmpty ? "none" : string.Join(',', session.Directory.Profiles));
        _profileWasMissing = !isOffered;
        return isOffered ? profile : null;
    }

    private async Task OpenAsync(CancellationToken cancellation)
    {
        var directory = await _client.GetDirectoryAsync(cancellation);
        if (directory.Value is not { } found)
        {
            Tell(new AcmeNews.CaFailed(directory.Fault!));
            return;
        }
        var session = await _account.OpenAsync(found, cancellation);
        Tell(session.Value is { } open ? new AcmeNews.Opened(open) : new AcmeNews.CaFailed(session.Fault!));
    }

    private List<HeldCertificate> ToAskFor()
    {
        var best = _book.BestByName();
        return [.. _wanted.SelectMany(w => w.Names).Select(n => best.GetValueOrDefault(n)).OfType<HeldCertificate>().Distinct()
            .Where(h => h.RenewalId is not null && !(h.Suggested?.NextCheck > _now))];
    }

    private async Task AskAsync(List<HeldCertificate> certificates, AcmeSession session, CancellationToken cancellation)
    {
        try
        {
            foreach (var held in certificates)
            {
                if (session.Directory.RenewalInfo is not { } address)
                {
                    // The CA has no such thing; perhaps tomorrow.
                    Tell(new AcmeNews.Suggested(held, null, TimeSpan.FromDays(1), null));
                    continue;
                }
                var url = new Uri($"{address.AbsoluteUri.TrimEnd('/')}/{held.RenewalId}");
                var answer = await _client.GetAsync(url, AcmeJson.Default.RenewalInfoModel, cancellation);
                var window = answer.Value?.Model.SuggestedWindow;
                var isSound = window is { Start: { } start, End: { } end } && end > start;
                if (!isSound) Log.AcmeNoSuggestion(_log, string.Join(',', held.Names), answer.Fault?.Text ?? "no window");
                Tell(new AcmeNews.Suggested(held,
                    isSound ? new RenewalState(window!.Start!.Value, window.End!.Value, default) : null,
                    RenewalInfo.NextCheck(isSound ? answer.Value!.Response.RetryAfter : answer.Fault?.RetryAfter),
                    answer.Value?.Model.ExplanationUrl));
            }
        }
        finally
        {
            Tell(new AcmeNews.SuggestionsEnded());
        }
    }

    private void Begin(Func<Task> work) => _tasks.Add(Task.Run(async () =>
    {
        try
        {
            await work();
        }
        catch (OperationCanceledException)
        {
            // The process ends.
        }
        catch (Exception e)
        {
            Log.AcmeFailed(_log, e);
            // Nothing is left open, and the CA is not asked again at once.
            Tell(new AcmeNews.CaFailed(AcmeFault.Nonsense($"failed on this side: {e.Message}")));
        }
    }));

    private void Tell(AcmeNews news) => _news.Writer.TryWrite(news);

    private void KeepState()
    {
        _book.Save();
        if (!_store.HasUnwritten || _time.GetElapsedTime(_storeTried) < StoreRetry) return;
        _storeTried = _time.GetTimestamp();
        _store.WriteAgain();
    }

    private async Task SleepAsync(CancellationToken cancellation)
    {
        using var awake = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var news = _news.Reader.WaitToReadAsync(awake.Token).AsTask();
        var sleep = Task.Delay(UntilNext(), _time, awake.Token);
        await Task.WhenAny(news, sleep);
        await awake.CancelAsync();
        cancellation.ThrowIfCancellationRequested();
    }

    /// <summary>Until the next thing that comes with time alone.</summary>
    private TimeSpan UntilNext()
    {
        var next = _now + LongestSleep;
        if (_store.HasUnwritten) Earlier(_now + StoreRetry);
        if (_book.CaWait is { } ca && ca.Until > _now)
        {
            Earlier(ca.Until);
        }
        else
        {
            var best = _book.BestByName();
            foreach (var name in _wanted.SelectMany(w => w.Names).Where(n => !_isCovered(n)))
            {
                var held = best.GetValueOrDefault(name);
                if (_book.WaitOf(name) is { } wait && wait.Until > _now) Earlier(wait.Until);
                else if (held is not null) Earlier(held.RenewAt);
                if (held is { RenewalId: not null, Suggested: { } suggested }) Earlier(suggested.NextCheck);
            }
        }
        // What is due now and was not done waits for something that will report.
        return next - _now is var sleep && sleep < ShortestSleep ? ShortestSleep : sleep;

        void Earlier(DateTimeOffset other)
        {
            if (other < next) next = other;
        }
    }

    private void PublishCertificates() =>
        _publish(_book.BestByName().ToImmutableDictionary(b => b.Key, b => b.Value.Certificate, StringComparer.Ordinal));

    private void PublishStatus()
    {
        var best = _book.BestByName();
        var busy = _running.Values.SelectMany(n => n).ToHashSet(StringComparer.Ordinal);
        var names = from service in _wanted
                    from name in service.Names
                    orderby name
                    let held = best.GetValueOrDefault(name)
                    let wait = _book.WaitOf(name)
                    select new AcmeNameStatus(name, service.Service, StateOf(name, held, wait), held?.NotAfter, held?.RenewAt,
                        wait?.Failures ?? 0, wait?.Error ?? "", wait?.Until);
        var ca = _book.CaWait is { } current && current.Until > _now ? current : null;
        _status = new AcmeStatus(_options.Directory.AbsoluteUri, [.. names],
            [.. _book.Held.OrderBy(h => h.Names[0], StringComparer.Ordinal).Select(h => new AcmeCertificateStatus(
                h.Names, h.Certificate.NotBefore, h.NotAfter, h.RenewAt, h.Suggested is { } s && s.Start != default, h.Suggested?.NextCheck))])
        {
            CaError = ca?.Error ?? "",
            CaNextTry = ca?.Until,
            StoreError = _store.Problem,
            Orders = _running.Count,
        };

        AcmeNameState StateOf(string name, HeldCertificate? held, WaitState? wait) =>
            _isCovered(name) ? AcmeNameState.Covered
            : busy.Contains(name) ? AcmeNameState.Ordering
            : wait is not null ? AcmeNameState.Failed
            : held is not null && held.NotAfter > _now && !held.IsDueAt(_now, _time) ? AcmeNameState.Good
            : AcmeNameState.Ordering;
    }
}
