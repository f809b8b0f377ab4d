using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Millau.Telemetry;

namespace Millau.Tests.Telemetry;

public class HealthTests
{
    [Fact]
    public void It_is_down_until_the_engine_and_the_listeners_are_there()
    {
        var health = new Health(TimeProvider.System, NullLogger<Health>.Instance);
        Assert.False(health.IsUp);
        Assert.Equal(["engine: not reached yet", "listeners: not bound yet"], Reasons(health));

        health.Up(Health.Engine);
        Assert.False(health.IsUp);

        health.Up(Health.Listeners);
        Assert.True(health.IsUp);
        Assert.Empty(Reasons(health));
    }

    [Fact]
    public void One_condition_down_is_down_until_that_one_is_up()
    {
        var health = CreateUp();

        health.Down(Health.Engine, "refused");
        health.Up(Health.Listeners);

        Assert.False(health.IsUp);
        Assert.Equal(["engine: refused"], Reasons(health));
        health.Up(Health.Engine);
        Assert.True(health.IsUp);
    }

    [Fact]
    public void Draining_is_down_for_good()
    {
        var health = CreateUp();

        health.Drain();
        health.Up(Health.Engine);
        health.Up(Health.Listeners);

        Assert.Equal(["serving: draining"], Reasons(health));
    }

    [Fact]
    public void Each_change_is_logged_once_and_draining_not_as_a_fault()
    {
        var logger = new Recorder();
        var health = new Health(TimeProvider.System, logger);
        health.Up(Health.Engine);
        health.Up(Health.Listeners);
        health.Up(Health.Listeners);
        health.Down(Health.Engine, "refused");
        health.Down(Health.Engine, "refused");
        health.Up(Health.Engine);
        health.Drain();

        Assert.Equal(
            ["Information Healthy", "Error Unhealthy condition=engine reason=\"refused\"", "Information Healthy"],
            logger.Lines);
    }

    [Fact]
    public async Task Conditions_set_from_many_threads_are_not_lost()
    {
        var health = CreateUp();

        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() =>
        {
            for (var j = 0; j < 1000; j++)
            {
                health.Down($"c{i}", "x");
                if (i % 2 == 0)
                    health.Up($"c{i}");
            }
        })));

        Assert.Equal(["c1: x", "c3: x", "c5: x", "c7: x"], Reasons(health));
    }

    [Fact]
    public void It_knows_since_when_the_whole_and_each_condition()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UnixEpoch);
        var health = new Health(time, NullLogger<Health>.Instance);
        DateTimeOffset At(int second) => DateTimeOffset.UnixEpoch.AddSeconds(second);

        time.SetUtcNow(At(1));
        health.Up(Health.Engine);
        Assert.Equal(At(0), health.Current.Since);
        time.SetUtcNow(At(2));
        health.Up(Health.Listeners);
        Assert.Equal(At(2), health.Current.Since);

        time.SetUtcNow(At(3));
        health.Down(Health.Engine, "refused");
        time.SetUtcNow(At(4));
        health.Down(Health.Engine, "no answer");
        time.SetUtcNow(At(5));
        health.Down(Health.Listeners, "x");

        Assert.Equal(At(3), health.Current.Since);
        Assert.Equal(new HealthReason("engine", "no answer", At(3)), health.Current.Down[Health.Engine]);
        Assert.Equal(At(5), health.Current.Down[Health.Listeners].Since);
    }

    private static IEnumerable<string> Reasons(Health health) =>
        health.Current.Down.Values.Select(d => $"{d.Condition}: {d.Reason}");

    internal static Health CreateUp()
    {
        var health = new Health(TimeProvider.System, NullLogger<Health>.Instance);
        health.Up(Health.Engine);
        health.Up(Health.Listeners);
        return health;
    }

    private sealed class Recorder : ILogger<Health>
    {
        public List<string> Lines { get; } = [];

        public bool IsEnabled(LogLevel logLevel) => true;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) =>
            Lines.Add($"{logLevel} {formatter(state, exception)}");
    }
}
