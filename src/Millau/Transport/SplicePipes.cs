namespace Millau.Transport;

/// <summary>Pipes that are used again: the one used last first. Any thread.</summary>
/// <param name="most">How many are kept; what is more is closed.</param>
internal sealed class SplicePipes(int most) : IDisposable
{
    /// <summary>
    /// In bytes. Sixty-four pages or pieces of packets in one call; the kernel lets a user without privileges have 256 pipes of
    /// this size (<c>fs.pipe-user-pages-soft</c>) before it makes them smaller.
    /// </summary>
    private const int Capacity = 256 * 1024;

    private readonly Lock _lock = new();
    private readonly SplicePipe?[] _kept = new SplicePipe?[most];
    private int _count;
    private bool _disposed;
    private volatile bool _refused;

    /// <summary>How many are kept at the moment.</summary>
    public int Count
    {
        get
        {
            lock (_lock) return _count;
        }
    }

    /// <summary>A pipe, which is empty; null if there is none to be had, or the kernel does not splice.</summary>
    public SplicePipe? TryTake()
    {
        if (_refused) return null;
        lock (_lock)
        {
            if (_count > 0)
            {
                var pipe = _kept[--_count];
                _kept[_count] = null;
                return pipe;
            }
        }
        return SplicePipe.TryCreate(Capacity);
    }

    /// <summary>Takes a pipe back. One with bytes in it is closed: they must not reach the next.</summary>
    public void GiveBack(SplicePipe pipe)
    {
        if (pipe.Count == 0)
        {
            lock (_lock)
            {
                if (!_disposed && _count < _kept.Length)
                {
                    _kept[_count++] = pipe;
                    return;
                }
            }
        }
        pipe.Dispose();
    }

    /// <summary>The kernel, or what filters calls to it, refuses to splice: it need not be asked again.</summary>
    public void Refuse() => _refused = true;

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            while (_count > 0)
            {
                _kept[--_count]!.Dispose();
                _kept[_count] = null;
            }
        }
    }
}
