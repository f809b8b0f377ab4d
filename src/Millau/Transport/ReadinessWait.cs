using System.Threading.Tasks.Sources;

namespace Millau.Transport;

/// <summary>Somebody who awaits that a socket is ready in one direction. Used again for each wait; one at a time.</summary>
internal sealed class ReadinessWait : IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _source;

    /// <summary>A new wait; to be awaited once, or not at all.</summary>
    public ValueTask Begin()
    {
        _source.Reset();
        return new ValueTask(this, _source.Version);
    }

    /// <summary>It is ready. What waits goes on in this call.</summary>
    public void End() => _source.SetResult(true);

    void IValueTaskSource.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}
