namespace Millau.Ingress.Http2;

/// <summary>
/// Bounds what a client may have done for little: streams that it gives up at once or spoils, and frames that carry nothing. Whoever
/// does no more than that is cut, while a browser that cancels a page of pictures is far from it.
/// </summary>
internal struct Http2Floods(long now)
{
    private Allowance _spoilt = new(most: 1000, each: 33, now);
    private Allowance _empty = new(most: 10_000, each: 1000, now);

    /// <summary>A stream was reset before its answer was over, by the client or for its fault. False when it was one too many.</summary>
    public bool TrySpoil(long now) => _spoilt.TryTake(now);

    /// <summary>A frame moved nothing: SETTINGS, PING, PRIORITY, DATA without data, an unknown one. False when it was one too many.</summary>
    public bool TryEmpty(long now) => _empty.TryTake(now);

    /// <summary>So many at once, and again as time passes.</summary>
    private struct Allowance(int most, int each, long now)
    {
        private long _left = most;
        private long _since = now;

        public bool TryTake(long now)
        {
            var seconds = (now - _since) / 1000;
            if (seconds > 0)
            {
                _left = Math.Min(most, _left + seconds * each);
                _since += seconds * 1000;
            }
            return --_left >= 0;
        }
    }
}
