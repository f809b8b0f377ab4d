using Microsoft.Extensions.Logging.Abstractions;
using Millau.Discovery;

namespace Millau.Tests.Discovery;

public class WatchStateTests
{
    private readonly WatchState _state = new("swarm", new DiscoveryTiming(), NullLogger.Instance);

    [Theory]
    [InlineData(1, 0.1, 2)] // A small Swarm: as often as is useful.
    [InlineData(500, 1, 10)] // A slow Engine: 5 % of its time.
    [InlineData(500, 100, 20)] // Costly here: 0.5 % of a processor.
    [InlineData(10_000, 5_000, 60)]
    public void What_is_slow_or_costly_to_read_is_read_less_often(double tookMilliseconds, double costMilliseconds, double seconds)
    {
        _state.OnRead();
        var now = TimeSpan.FromSeconds(1000);
        Assert.Equal(now + TimeSpan.FromSeconds(seconds),
            _state.NextAll(TimeSpan.FromMilliseconds(tookMilliseconds), TimeSpan.FromMilliseconds(costMilliseconds), now));
    }
}
