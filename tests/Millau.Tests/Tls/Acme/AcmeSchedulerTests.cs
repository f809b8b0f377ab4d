using System.Collections.Concurrent;
using Microsoft.Extensions.Time.Testing;
using Millau.Tests.Wire;
using Millau.Tls.Acme;

namespace Millau.Tests.Tls.Acme;

/// <summary>What is ordered when: waits, renewals, limits, clocks, and what a restart finds.</summary>
public sealed class AcmeSchedulerTests : IDisposable
{
    private readonly string _data = Directory.CreateTempSubdirectory("millau-acme-").FullName;
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 11, 1, 12, 0, 0, TimeSpan.Zero));

    public void Dispose() => Directory.Delete(_data, recursive: true);

    [Fact]
    public async Task Names_of_a_service_share_a_certificate_and_private_ones_are_never_asked_for()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        await using var run = new AcmeRun(ca, _time, _data, isCovered: name => name == "covered.com");

        run.Want(("shop", ["b.com", "a.com", "*", "intern", "a.local", "10.0.0.1", "covered.com"]), ("blog", ["a.com", "c.com"]));
        await run.UntilAsync("a.com", AcmeNameState.Good);
        await run.UntilAsync("c.com", AcmeNameState.Good);

        // A name of two services counts for the first.
        Assert.Equal(["a.com,c.com", "b.com"], ca.Orders.Select(o => string.Join(',', o.Names)).Order());
        Assert.Equal(["a.com", "b.com", "c.com"], run.Published.Keys.Order());
        Assert.Equal(AcmeNameState.Covered, run["covered.com"].State);
    }

    [Fact]
    public async Task A_name_that_fails_waits_1_10_and_100_minutes_and_then_days_in_the_words_of_the_ca()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        ca.Fails = name => name == "bad.com" ? "NXDOMAIN looking up A for bad.com" : null;
        await using var run = new AcmeRun(ca, _time, _data);
        run.Want(("shop", ["bad.com", "good.com"]));
        await run.UntilAsync("good.com", AcmeNameState.Good);

        TimeSpan[] waits = [TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(100), TimeSpan.FromDays(1), TimeSpan.FromDays(1)];
        for (var failures = 1; failures <= waits.Length; failures++)
        {
            await run.UntilAsync(() => run.Status.Orders == 0 && run["bad.com"].Failures == failures, $"{failures} failures");
            var status = run["bad.com"];
            Assert.Equal(AcmeNameState.Failed, status.State);
            Assert.Equal("dns: NXDOMAIN looking up A for bad.com", status.Error);
            Assert.InRange(status.NextTry!.Value - _time.GetUtcNow(), waits[failures - 1], waits[failures - 1] * 1.1);
            if (failures < waits.Length)
                await run.PassAsync(waits[failures - 1] * 1.1, () => run["bad.com"].Failures > failures, "tried again");
        }
        Assert.Equal(1, run.Log.Count("bad.com .*failures=1 "));

        ca.Fails = _ => null;
        await run.PassAsync(TimeSpan.FromDays(1.1), () => run["bad.com"].State == AcmeNameState.Good, "mended");
        Assert.Equal("", run["bad.com"].Error);
    }

    [Fact]
    public async Task A_wait_that_ends_in_the_midst_of_a_round_is_not_slept_through()
    {
        var time = new RecordedSleeps(_time.GetUtcNow());
        await using var ca = await ScriptedCa.StartAsync(time);
        ca.Fails = _ => "no";
        await using var run = new AcmeRun(ca, time, _data);
        run.Want(("shop", ["bad.com"]));
        await run.UntilAsync("bad.com", AcmeNameState.Failed);

        // The first look at the clock sees the wait still on, each other one sees it over.
        time.Advance(run["bad.com"].NextTry!.Value - time.GetUtcNow() - TimeSpan.FromMilliseconds(5));
        time.AutoAdvanceAmount = TimeSpan.FromMilliseconds(10);
        time.Sleeps.Clear();
        run.Want(("shop", ["bad.com", "intern"]));
        await run.UntilAsync(() => !time.Sleeps.IsEmpty, "a round has ended");

        Assert.InRange(time.Sleeps.First(), TimeSpan.Zero, TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task A_restart_keeps_certificates_account_and_waits()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        ca.Fails = name => name == "bad.com" ? "no" : null;
        DateTimeOffset next;
        await using (var run = new AcmeRun(ca, _time, _data))
        {
            run.Want(("shop", ["bad.com", "good.com"]));
            await run.UntilAsync("good.com", AcmeNameState.Good);
            await run.UntilAsync("bad.com", AcmeNameState.Failed);
            // That this CA suggests no renewals is found out too, and kept.
            await run.UntilAsync(() => run.Status.Certificates.All(c => c.NextCheck is not null), "asked of renewals");
            next = run["bad.com"].NextTry!.Value;
        }
        var asked = ca.Requests.Count;

        await using var again = new AcmeRun(ca, _time, _data);
        Assert.Equal(["good.com"], again.Published.Keys);
        again.Want(("shop", ["bad.com", "good.com"]));
        await again.UntilAsync("good.com", AcmeNameState.Good);

        Assert.Equal(AcmeNameState.Failed, again["bad.com"].State);
        Assert.Equal(next, again["bad.com"].NextTry!.Value, TimeSpan.FromMilliseconds(1));
        Assert.Equal(asked, ca.Requests.Count);
        Assert.Equal(1, ca.Requests.Count(r => r == "/account"));
    }

    [Fact]
    public async Task A_limit_of_the_ca_is_waited_for_as_long_as_it_says()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        ca.Refuses = (path, order) => path == "/order" && order!.ToString().Contains("busy.com")
            ? ScriptedCa.Problem(429, "rateLimited", "too many certificates for busy.com", retryAfter: 7200) : null;
        await using var run = new AcmeRun(ca, _time, _data);

        run.Want(("a", ["busy.com"]), ("b", ["good.com"]));
        await run.UntilAsync("busy.com", AcmeNameState.Failed);
        await run.UntilAsync("good.com", AcmeNameState.Good);

        Assert.InRange(run["busy.com"].NextTry!.Value - _time.GetUtcNow(), TimeSpan.FromHours(2), TimeSpan.FromHours(2.2));
        Assert.Equal("rateLimited: too many certificates for busy.com", run["busy.com"].Error);
    }

    [Fact]
    public async Task A_ca_that_is_overloaded_is_left_alone_as_long_as_it_says_and_no_name_is_blamed()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        ca.Refuses = (_, _) => new ScriptedCa.Answer(503, "<html>busy</html>") { RetryAfter = 3600 };
        await using var run = new AcmeRun(ca, _time, _data);

        run.Want(("shop", ["a.com"]));
        await run.UntilAsync(() => run.Status.CaNextTry is not null, "waiting");

        Assert.InRange(run.Status.CaNextTry!.Value - _time.GetUtcNow(), TimeSpan.FromHours(1), TimeSpan.FromHours(1.1));
        Assert.Equal(0, run["a.com"].Failures);
        Assert.Single(ca.Requests);
        ca.Refuses = (_, _) => null;
        await run.PassAsync(TimeSpan.FromHours(1.1), () => run["a.com"].State == AcmeNameState.Good, "had");
        Assert.Equal("", run.Status.CaError);
    }

    [Fact]
    public async Task A_certificate_is_renewed_within_the_window_of_the_ca_which_is_told_what_is_replaced()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        var start = _time.GetUtcNow().AddDays(20);
        string? asked = null;
        ca.Renewal = id =>
        {
            asked ??= id;
            return id == asked ? (start, start.AddDays(2)) : (start.AddDays(60), start.AddDays(62));
        };
        await using var run = new AcmeRun(ca, _time, _data);
        run.Want(("shop", ["a.com"]));
        await run.UntilAsync("a.com", AcmeNameState.Good);
        await run.UntilAsync(() => run.Status.Certificates.Any(c => c.FromCa), "suggested");
        var chosen = run["a.com"].RenewAt!.Value;
        Assert.InRange(chosen, start, start.AddDays(2));
        var first = run.Published["a.com"];

        // As often as the CA wants to be asked, which is every 6 hours. Its answer counts from when it is taken, so time goes on only then.
        await run.PassAsync(TimeSpan.FromHours(6), () => Questions() == 2 && run.Status.Certificates.All(c => c.NextCheck > _time.GetUtcNow()), "asked again");
        await run.PassAsync(chosen - _time.GetUtcNow() - TimeSpan.FromSeconds(1),
            () => Questions() == 3, "asked once more");
        Assert.Single(ca.Orders);
        await run.PassAsync(TimeSpan.FromSeconds(2), () => run.Published["a.com"] != first, "renewed");

        Assert.Equal([null, asked], ca.Orders.Select(o => o.Replaces));

        int Questions() => ca.Requests.Count(r => r.StartsWith("/renewal/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_ca_that_takes_no_replacement_gets_a_plain_order()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        var start = _time.GetUtcNow().AddDays(1);
        ca.Renewal = _ => (start, start.AddHours(1));
        ca.Refuses = (path, order) => path == "/order" && order?["replaces"] is not null
            ? ScriptedCa.Problem(409, "alreadyReplaced", "it was replaced before") : null;
        await using var run = new AcmeRun(ca, _time, _data);
        run.Want(("shop", ["a.com"]));
        await run.UntilAsync("a.com", AcmeNameState.Good);
        await run.UntilAsync(() => run.Status.Certificates.Any(c => c.FromCa), "suggested");
        var first = run.Published["a.com"];

        await run.PassAsync(TimeSpan.FromHours(25), () => run.Published["a.com"] != first, "renewed");

        Assert.Equal(0, run["a.com"].Failures);
    }

    [Fact]
    public async Task Without_a_suggestion_a_third_of_the_lifetime_is_left_at_renewal_whatever_the_lifetime()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        ca.Validity = TimeSpan.FromDays(6);
        await using var run = new AcmeRun(ca, _time, _data);
        run.Want(("shop", ["a.com"]));
        await run.UntilAsync("a.com", AcmeNameState.Good);
        var first = run.Published["a.com"];

        Assert.InRange(first.NotAfter - run["a.com"].RenewAt!.Value, TimeSpan.FromDays(2), TimeSpan.FromDays(2.2));
        var renewal = run["a.com"].RenewAt!.Value;
        await run.PassAsync(renewal - _time.GetUtcNow() - TimeSpan.FromSeconds(1), () => run.Status.Orders == 0, "not yet");
        Assert.Single(ca.Orders);
        await run.PassAsync(TimeSpan.FromSeconds(2), () => run.Published["a.com"] != first, "renewed");
    }

    [Fact]
    public async Task A_name_that_is_added_later_is_ordered_alone_and_joins_the_others_at_renewal()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        await using var run = new AcmeRun(ca, _time, _data);
        run.Want(("shop", ["a.com", "b.com"]));
        await run.UntilAsync("a.com", AcmeNameState.Good);
        run.Want(("shop", ["a.com", "b.com", "c.com"]));
        await run.UntilAsync(() => run.Status.Names.Length == 3 && run["c.com"].State == AcmeNameState.Good, "c.com");

        await run.PassAsync(TimeSpan.FromDays(61), () => ca.Orders.Count == 3 && run.Status.Orders == 0, "renewed");

        Assert.Equal(["a.com,b.com", "c.com", "a.com,b.com,c.com"], ca.Orders.Select(o => string.Join(',', o.Names)));
        await run.UntilAsync(() => run.Status.Certificates.Length == 1, "one is left");
        Assert.Single(Directory.GetFiles(_data, "*.pem", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task A_day_that_is_skipped_renews_only_what_is_due()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        await using var run = new AcmeRun(ca, _time, _data);
        run.Want([.. Enumerable.Range(0, 20).Select(i => ($"s{i:00}", new[] { $"n{i}.com" }))]);
        await run.UntilAsync(() => run.Status.Names.Count(n => n.State == AcmeNameState.Good) == 20, "all had");

        _time.Advance(TimeSpan.FromDays(1));
        run.Want([.. Enumerable.Range(0, 21).Select(i => ($"s{i:00}", new[] { $"n{i}.com" }))]);
        await run.UntilAsync(() => run.Status.Names.Count(n => n.State == AcmeNameState.Good) == 21, "all good");

        Assert.Equal(21, ca.Orders.Count);
    }

    [Fact]
    public async Task Where_our_clock_is_wrong_the_one_of_the_ca_counts()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        await using (var run = new AcmeRun(ca, _time, _data))
        {
            run.Want(("shop", ["a.com"]));
            await run.UntilAsync("a.com", AcmeNameState.Good);
        }
        // A year ahead all is expired, says our clock alone.
        _time.Advance(TimeSpan.FromDays(365));
        ca.Clock = TimeSpan.FromDays(-365);

        await using var ahead = new AcmeRun(ca, _time, _data);
        ahead.Want(("shop", ["a.com"]));
        await ahead.UntilAsync(() => ahead.Log.Count("acme authority has another time") == 1, "said");
        await ahead.UntilAsync("a.com", AcmeNameState.Good);

        Assert.Single(ca.Orders);
        Assert.Equal(["a.com"], ahead.Published.Keys);
    }

    [Fact]
    public async Task Where_the_ca_does_not_say_which_name_is_at_fault_halves_are_ordered()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        ca.Refuses = (path, order) => path == "/order" && order!.ToString().Contains("n5.com")
            ? ScriptedCa.Problem(400, "rejectedIdentifier", "one of them is not for us") : null;
        await using var run = new AcmeRun(ca, _time, _data);
        run.Want(("shop", [.. Enumerable.Range(0, 8).Select(i => $"n{i}.com")]));

        await run.UntilAsync("n5.com", AcmeNameState.Failed);

        Assert.Equal(7, run.Status.Names.Count(n => n.State == AcmeNameState.Good));
        Assert.Equal(3, ca.Orders.Count);
    }

    [Fact]
    public async Task A_profile_is_asked_for_if_it_is_offered_and_bounds_the_names_of_an_order()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        ca.Profiles = ["classic", "shortlived"];
        await using var run = new AcmeRun(ca, _time, _data, profile: "shortlived");
        run.Want(("shop", [.. Enumerable.Range(0, 60).Select(i => $"n{i}.com")]));
        await run.UntilAsync(() => run.Status.Names.Count(n => n.State == AcmeNameState.Good) == 60, "all had");

        Assert.Equal([10, 25, 25], ca.Orders.Select(o => o.Names.Length).Order());
        Assert.All(ca.Orders, o => Assert.Equal("shortlived", o.Profile));
    }

    [Fact]
    public async Task A_profile_that_is_not_offered_is_not_asked_for()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        ca.Profiles = ["classic"];
        await using var run = new AcmeRun(ca, _time, _data, profile: "fancy");
        run.Want(("shop", ["a.com"]));
        await run.UntilAsync("a.com", AcmeNameState.Good);

        Assert.Null(Assert.Single(ca.Orders).Profile);
        Assert.Equal(1, run.Log.Count("acme profile not offered.*offered=classic"));
    }

    [Fact]
    public async Task What_cannot_be_written_is_served_from_memory_and_written_once_it_can()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        var data = Path.Combine(_data, "state");
        await File.WriteAllTextAsync(data, "a file where a directory ought to be");
        await using var run = new AcmeRun(ca, _time, data);
        run.Want(("a", ["a.com"]), ("b", ["b.com"]));
        await run.UntilAsync("a.com", AcmeNameState.Good);
        await run.UntilAsync("b.com", AcmeNameState.Good);
        Assert.NotEqual("", run.Status.StoreError);
        Assert.Equal(1, run.Log.Count("acme state cannot be written"));

        File.Delete(data);
        await run.PassAsync(TimeSpan.FromSeconds(61), () => run.Status.StoreError.Length == 0, "written");

        Assert.Equal(1, run.Log.Count("acme state is written again"));
        Assert.Equal(2, Directory.GetFiles(data, "*.pem", SearchOption.AllDirectories).Length);
    }

    [Fact]
    public async Task Broken_files_are_told_of_and_passed_over()
    {
        await using var ca = await ScriptedCa.StartAsync(_time);
        await using (var run = new AcmeRun(ca, _time, _data))
        {
            run.Want(("shop", ["a.com"]));
            await run.UntilAsync("a.com", AcmeNameState.Good);
        }
        foreach (var file in Directory.GetFiles(_data, "*", SearchOption.AllDirectories))
            await File.WriteAllTextAsync(file, "{ half");

        await using var again = new AcmeRun(ca, _time, _data);
        again.Want(("shop", ["a.com"]));
        await again.UntilAsync("a.com", AcmeNameState.Good);

        Assert.Equal(3, again.Log.Count("acme file cannot be used"));
        Assert.Equal(2, ca.Orders.Count);
    }

    /// <summary>A clock of the test that keeps how long it was asked to wait.</summary>
    private sealed class RecordedSleeps(DateTimeOffset start) : FakeTimeProvider(start)
    {
        public ConcurrentQueue<TimeSpan> Sleeps { get; } = new();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Sleeps.Enqueue(dueTime);
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }
}
