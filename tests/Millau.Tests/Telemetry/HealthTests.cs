using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Telemetry;

namespace Millau.Tests.Telemetry;

public class HealthTests
{
    [Fact]
    public void It_is_down_until_the_engine_and_the_listeners_are_there()
    {
        var health = new Health(NullLogger<Health>.Instance);
        Assert.False(health.IsUp);
        Assert.Equal(["engine: not reached yet", "listeners: not bound yet"], health.Reasons);

        health.Up(Health.Engine);
        Assert.False(health.IsUp);

        health.Up(Health.Listeners);
        Assert.True(health.IsUp);
        Assert.Empty(health.Reasons);
    }

    [Fact]
    public void One_condition_down_is_down_until_that_one_is_up()
    {
        var health = CreateUp();

        health.Down(Health.Engine, "refused");
        health.Up(Health.Listeners);

        Assert.False(health.IsUp);
        Assert.Equal(["engine: refused"], health.Reasons);
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

        Assert.Equal(["serving: draining"], health.Reasons);
    }

    [Fact]
    public void Each_change_is_logged_once_and_draining_not_as_a_fault()
    {
        var logger = new Recorder();
        var health = new Health(logger);
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

        Assert.Equal(["c1: x", "c3: x", "c5: x", "c7: x"], health.Reasons);
    }

    internal static Health CreateUp()
    {
        var health = new Health(NullLogger<Health>.Instance);
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
